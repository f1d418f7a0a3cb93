"""Observe everything that belongs to a run, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.aws import cloudwatch, cloudwatch_logs, ecs, fleet
from control.aws.spot_prices import price_at, price_history
from control.aws.sqs import queue_counts
from control.explain import aws_errors
from control.model import seconds
from control.monitoring.facts import Machine, Memory, Observed, Stopped
from control.monitoring.pace import Pace
from control.records import states

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client

    from control.aws.fleet import FleetState
    from control.aws.session import AWS
    from control.model import JobCounts, Run

# A worker that accepts no jobs logs why every minute (contract.md).
REFUSAL_SECONDS = 180


def observe(
    aws: AWS,
    run: Run,
    now: float,
    counted: JobCounts | None = None,
    count: Callable[[S3Client, Run], JobCounts] = states.count,
) -> Observed:
    """Ask SQS, S3, EC2, ECS and CloudWatch once each; the log only if no waiting job is accepted.

    `counted` is used as the counts of jobs while the queue holds any: to list a million records
    each minute would cost more than it is worth.
    """
    fleets = fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run))
    service = ecs.service_state(aws.ecs, run)
    # The queue comes before the records: a job finished in between is then in one of the two.
    waiting = queue_counts(aws.sqs, run.queue_url)
    seen = Observed(
        now=now,
        queue=waiting,
        jobs=counted if counted and waiting and waiting.total else count(aws.s3, run),
        fleets=tuple(fleets),
        machines=_machines(aws, run, fleets) if service is not None else (),
        service=service,
        alarms=frozenset(cloudwatch.alarms_of_run(aws.cloudwatch, run)),
        stopped=_stopped(aws, run) if service is not None else (),
        requested={f.fleet_id: f.target for f in run.fleets if f.fleet_id},
        stopped_at=run.stopped,
        cheapest_since=run.cheapest_since,
    )
    if not seen.accepts_no_jobs:
        return seen
    # The jobs done since machines were last replaced decide, so an earlier count will not do.
    return replace(seen, jobs=count(aws.s3, run), refusals=_refusals(aws, run, now))


def _refusals(aws: AWS, run: Run, now: float) -> tuple[tuple[str, str], ...]:
    """Read why workers accept no jobs; a login that may not read the log acts without."""
    since = now - REFUSAL_SECONDS
    try:
        return cloudwatch_logs.refusals(aws.logs, run.log_group, run.app_name, since)
    except ClientError as error:
        if aws_errors.is_passing(error):
            raise
        return ()


def price(aws: AWS, run: Run, seen: Observed, memory: Memory, pace: Pace) -> Memory:
    """Return the memory with current prices, if MAX_HOURLY_COST is set.

    They are read again only after a while, or for a new kind of machine.
    """
    kinds = {machine.kind for machine in seen.machines}
    recent = memory.priced <= seen.now < memory.priced + pace.prices
    if run.config.MAX_HOURLY_COST is None:
        return memory
    if recent and kinds <= memory.prices.keys():
        return memory
    kinds |= memory.prices.keys()
    types = {kind.split(" ")[0] for kind in kinds}
    known = price_history(aws.ec2, types, seen.now, seen.now)
    found = {kind: price_at(known[kind], seen.now) for kind in kinds & known.keys()}
    return replace(memory, prices=found, priced=seen.now)


def _stopped(aws: AWS, run: Run) -> tuple[Stopped, ...]:
    """Return containers created since the last request for machines: the rest may be fixed."""
    since = seconds(run.fleets[-1].requested) if run.fleets else 0.0
    return tuple(Stopped(*one) for one in ecs.why_stopped(aws.ecs, run, since))


def machines_up(ec2: EC2Client, fleets: list[FleetState]) -> list[Machine]:
    """Return the machines of the fleets with what EC2 alone reports."""
    fleet_of = {i: state.fleet_id for state in fleets for i in state.instances}
    return [
        Machine(
            instance_id=described["InstanceId"],
            fleet_id=fleet_of[described["InstanceId"]],
            launched=described["LaunchTime"].timestamp(),
            vcpus=_vcpus(described.get("CpuOptions", {})),
            kind=f"{described['InstanceType']} {described['Placement']['AvailabilityZone']}",
        )
        for described in _describe(ec2, list(fleet_of))
    ]


def _vcpus(cpu: Mapping[str, int]) -> int:
    return max(1, cpu.get("CoreCount", 1) * cpu.get("ThreadsPerCore", 1))


def _machines(aws: AWS, run: Run, fleets: list[FleetState]) -> tuple[Machine, ...]:
    if not any(state.instances for state in fleets):
        return ()
    registered = ecs.machines(aws.ecs, run)
    tasks = list(ecs.tasks(aws.ecs, run))
    busy = ecs.protected(aws.ecs, run, [task["taskArn"] for task in tasks])
    on = Counter(task.get("containerInstanceArn", "") for task in tasks)
    busy_on = Counter(
        task.get("containerInstanceArn", "") for task in tasks if task["taskArn"] in busy
    )
    found = []
    for machine in machines_up(aws.ec2, fleets):
        joined = registered.get(machine.instance_id, {})
        arn = joined.get("containerInstanceArn", "")
        found.append(
            replace(
                machine,
                container_instance=arn,
                draining=joined.get("status") == "DRAINING",
                tasks=on[arn] if arn else 0,
                busy_tasks=busy_on[arn] if arn else 0,
                stopping=not on[arn] and _holds_something(joined),
                connected=joined.get("agentConnected", True),
            )
        )
    return tuple(found)


def _holds_something(joined: Mapping[str, Any]) -> bool:
    """Tell whether a task has memory of a container instance, as it has until it has stopped."""

    def memory(resources: list[dict[str, Any]]) -> int:
        return sum(r.get("integerValue", 0) for r in resources if r["name"] == "MEMORY")

    registered = memory(joined.get("registeredResources", []))
    return memory(joined.get("remainingResources", [])) < registered


def _describe(ec2: EC2Client, instance_ids: list[str]) -> list[dict[str, Any]]:
    """Describe those machines of a fleet that run or start: it lists some for a while after their
    end. A filter takes 200 values, and with it an id that EC2 has forgotten is no error.
    """
    found: list[Any] = []
    for start in range(0, len(instance_ids), 200):
        named = {"Name": "instance-id", "Values": instance_ids[start : start + 200]}
        up = {"Name": "instance-state-name", "Values": ["pending", "running"]}
        pages = ec2.get_paginator("describe_instances").paginate(Filters=[named, up])  # type: ignore[list-item]
        found += [i for page in pages for r in page["Reservations"] for i in r["Instances"]]
    return found
