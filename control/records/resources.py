"""AWS resources of a run, and the runs of an account, found by tags and names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from control.aws import cloudwatch, cloudwatch_logs, ecs, fleet, launch_template, tags
from control.aws.scheduler import schedule_exists
from control.aws.sqs import queue_url
from control.records import costs

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from control.aws.session import AWS
    from control.model import Run


@dataclass(frozen=True)
class Resource:
    """One resource; `costs` if it costs money while it exists, or starts what does.

    `stop` removes what costs, and what only that needs (`of_use_to_it`).
    """

    kind: str
    name: str
    costs: bool
    of_use_to_it: bool = False

    @property
    def goes(self) -> bool:
        """Return whether `stop` removes it."""
        return self.costs or self.of_use_to_it

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def of_run(aws: AWS, run: Run, clock: Callable[[], float] = time.time) -> list[Resource]:
    """Return all of the run except its objects in the bucket and what is being ended."""
    return [*_costly(aws, run, clock()), *_free(aws, run)]


def _costly(aws: AWS, run: Run, now: float) -> Iterator[Resource]:
    for state in fleet.describe(aws.ec2, fleet.by_tags(aws.ec2, run), fleet.young(run, now)):
        if fleet.has_machines(state.state):
            yield Resource("fleet", state.fleet_id, costs=True)
    for instance_id in fleet.machines(aws.ec2, run):
        yield Resource("machine", instance_id, costs=True)
    if ecs.service_state(aws.ecs, run) is not None:
        yield Resource("service", run.service, costs=True)
    for name in cloudwatch.alarms_of_run(aws.cloudwatch, run):
        yield Resource("alarm", name, costs=True)
    if run.schedule and schedule_exists(aws.scheduler, run.schedule):
        yield Resource("schedule", run.schedule, costs=True)
    if cloudwatch.dashboard_exists(aws.cloudwatch, run):
        yield Resource("dashboard", run.app_name, costs=run.config.CLEAN_DASHBOARD)


def _free(aws: AWS, run: Run) -> Iterator[Resource]:
    for name in launch_template.of_run(aws.ec2, run):
        yield Resource("launch template", name, costs=False, of_use_to_it=True)
    for setting in ("SQS_QUEUE_NAME", "SQS_DEAD_LETTER_QUEUE"):
        if queue_url(aws.sqs, getattr(run.config, setting)):
            yield Resource("queue", getattr(run.config, setting), costs=False)
    for arn in ecs.task_definitions_of_run(aws.ecs, run):
        yield Resource("task definition", arn.rsplit("/", 1)[-1], costs=False)
    if ecs.exists(aws.ecs, run.cluster):
        yield Resource("cluster", run.cluster, costs=False)
    if cloudwatch_logs.exists(aws.logs, run.log_group):
        yield Resource("log group", run.log_group, costs=False)


_UP = ("pending", "running")


@dataclass
class AccountRun:
    """A run from the tags of its fleets and machines; `hourly` is None if a price is unknown."""

    app_name: str
    run_id: str
    owner: str = ""
    requested: int = 0
    kinds: list[str] = field(default_factory=list)
    fleet_states: set[str] = field(default_factory=set)
    hourly: float | None = None

    @property
    def state(self) -> str:
        """Return EC2's words for the states of its fleets; 'no fleet' for machines without one."""
        return ", ".join(sorted(self.fleet_states)) or "no fleet"


def runs_of_account(ec2: EC2Client, now: float) -> list[AccountRun]:
    """Return the runs in this account and region, those that cost most first."""
    runs: dict[tuple[str, str], AccountRun] = {}
    for page in ec2.get_paginator("describe_spot_fleet_requests").paginate():
        for found in page["SpotFleetRequestConfigs"]:
            if not fleet.has_machines(found["SpotFleetRequestState"]):
                continue
            run = _run_of(runs, found.get("Tags", []))
            if run is not None:
                run.fleet_states.add(found["SpotFleetRequestState"])
                if found["SpotFleetRequestState"] in fleet.LIVE_STATES:
                    run.requested += found["SpotFleetRequestConfig"]["TargetCapacity"]
    wanted: Any = [
        {"Name": "tag-key", "Values": [tags.RUN_TAG]},
        {"Name": "instance-state-name", "Values": list(_UP)},
    ]
    for machines in ec2.get_paginator("describe_instances").paginate(Filters=wanted):
        for machine in (i for r in machines["Reservations"] for i in r["Instances"]):
            run = _run_of(runs, machine.get("Tags", []))
            if run is not None:
                zone = machine["Placement"]["AvailabilityZone"]
                run.kinds.append(f"{machine['InstanceType']} {zone}")
    for run in runs.values():
        run.hourly = costs.hourly(ec2, run.kinds, now)
    return sorted(runs.values(), key=lambda r: (-(r.hourly or 0.0), r.app_name, r.run_id))


def _run_of(
    runs: dict[tuple[str, str], AccountRun], carried: Iterable[Mapping[str, Any]]
) -> AccountRun | None:
    """Return the run that these tags name, added if it is new; None if they name none."""
    named = {tag["Key"]: tag["Value"] for tag in carried}
    if tags.RUN_TAG not in named or tags.APP_TAG not in named:
        return None
    key = named[tags.APP_TAG], named[tags.RUN_TAG]
    run = runs.setdefault(key, AccountRun(*key))
    run.owner = run.owner or named.get(tags.OWNER_TAG, "")
    return run
