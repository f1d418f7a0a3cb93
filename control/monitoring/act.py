"""Carry out what the monitor decided."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from control.aws import cloudwatch, ecs, fleet, launch_template
from control.aws.sqs import delete_queue
from control.command import typed
from control.model import utc
from control.monitoring.facts import (
    Action,
    DeleteAlarms,
    EndBroken,
    EndCostly,
    EndMachines,
    EndRefusing,
    EndRun,
    Machine,
    Observed,
    PutAlarm,
    Remove,
    SetDesired,
    SetTarget,
)
from control.records import store
from control.reports.figures import write_report
from control.text import several

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import JobCounts, Run

_LONGEST_SUBJECT = 99  # SNS allows fewer than 100 characters (API reference of Publish)


def send_end_mail(aws: AWS, run: Run, counts: JobCounts, why: str, cost: str) -> bool:
    """Send the one mail about the end of a run; return whether this call sent it.

    run.json records first who sends it, so that only one of two monitors does.
    """
    if not run.topic_arn:
        return False
    ours = False

    def claim(now: Run) -> Run:
        nonlocal ours
        ours = not now.mailed
        return dataclasses.replace(now, mailed=True)

    run = store.change(aws.s3, run, claim)
    if ours:
        aws.sns.publish(
            TopicArn=run.topic_arn,
            Subject=_subject(run, counts, why),
            Message=_message(run, counts, why, cost),
        )
    return ours


def _subject(run: Run, counts: JobCounts, why: str) -> str:
    how = "stopped" if why else "finished"
    text = f"{run.app_name} {how}: {counts.done:,} of {several(counts.submitted, 'job')} done"
    return text[:_LONGEST_SUBJECT]


def _message(run: Run, counts: JobCounts, why: str, cost: str) -> str:
    lines = [
        f"Run {run.run_id} of {run.app_name} has ended: {why or 'every job has ended'}.",
        "",
        f"done        {counts.done:,}",
        f"skipped     {counts.skipped:,} (their outputs were there already)",
        f"failed      {counts.failed:,}",
        *([f"cancelled   {counts.cancelled:,}"] if counts.cancelled else []),
        f"unfinished  {counts.unfinished:,}",
        f"submitted   {counts.submitted:,}",
        "",
        cost,
        f"Records and logs: s3://{run.bucket}/{run.prefix}",
    ]
    if counts.unfinished:
        lines.append(f"To continue with the unfinished jobs: {typed('startCluster', 'FLEETFILE')}")
    return "\n".join(lines) + "\n"


def carry_out(aws: AWS, run: Run, action: Action, seen: Observed) -> Iterator[str]:
    """Do one action; yield what was done, in words."""
    match action:
        case SetDesired(tasks):
            ecs.set_desired(aws.ecs, run, tasks)
            yield f"containers wanted: {tasks}"
        case SetTarget(fleet_id, machines):
            fleet.set_target(aws.ec2, fleet_id, machines)
            yield f"fleet {fleet_id}: {several(machines, 'machine')} wanted"
        case Remove(machines=spare):
            yield from _remove(aws, run, spare)
        case EndBroken(instance_ids):
            fleet.terminate(aws.ec2, instance_ids)
            yield f"ended since they never joined the cluster: {', '.join(instance_ids)}"
        case EndRefusing() | EndCostly():
            yield from _end_with_work(aws, run, action)
        case PutAlarm(machine):
            cloudwatch.put_alarm(aws.cloudwatch, run, machine.instance_id, machine.vcpus)
        case DeleteAlarms(names):
            cloudwatch.delete_alarms(aws.cloudwatch, names)
        case EndRun():
            yield from end_run(aws, run, seen.now)
        case EndMachines():
            yield from end_machines(aws, run, lambda: seen.now)


def _remove(aws: AWS, run: Run, spare: tuple[Machine, ...]) -> Iterator[str]:
    """Drain first, check again, then end: a task placed in between keeps its machine."""
    ecs.drain(aws.ecs, run, [m.container_instance for m in spare if m.container_instance])
    occupied = {task.get("containerInstanceArn") for task in ecs.tasks(aws.ecs, run)}
    free = [m.instance_id for m in spare if m.container_instance not in occupied]
    fleet.terminate(aws.ec2, free)
    if free:
        yield f"ended since no work was left for them: {', '.join(free)}"


def _end_with_work(aws: AWS, run: Run, action: EndRefusing | EndCostly) -> Iterator[str]:
    ended = _end(aws, run, action.machines)
    if not ended:
        return
    names = ", ".join(m.instance_id for m in ended)
    if isinstance(action, EndRefusing):
        yield f"ended {names}: {action.why}"
        return
    containers = sum(m.busy_tasks for m in ended)
    back = f"; the jobs of {several(containers, 'container')} go back to the queue"
    yield (
        f"ended since the machines cost ${action.hourly:.2f} an hour, above MAX_HOURLY_COST = "
        f"{action.limit:g}: {names}{back if containers else ''}"
    )


def _end(aws: AWS, run: Run, machines: tuple[Machine, ...]) -> list[Machine]:
    """End machines together with their work; return those that were ended.

    An idle one that has begun work since then is drained: it finishes that and gets no more. Busy
    ones are not drained first: interrupted in between, they would continue to work.
    """
    idle = [m for m in machines if not m.busy_tasks]
    ecs.drain(aws.ecs, run, [m.container_instance for m in idle if m.container_instance])
    at_work = ecs.at_work(aws.ecs, run) if idle else set()
    ended = [m for m in machines if m.busy_tasks or m.container_instance not in at_work]
    fleet.terminate(aws.ec2, [m.instance_id for m in ended])
    return ended


def end_machines(aws: AWS, run: Run, clock: Callable[[], float] = time.time) -> Iterator[str]:
    """End all that costs money; the queue and its messages stay. Yield what was done.

    Each step is safe to repeat: after a crash the next start goes through all of them again.
    """
    if ecs.delete_service(aws.ecs, run):
        yield f"service {run.service} ended"
    # By tags too: the answer to a request may have been lost, and a machine may outlive its fleet.
    ended = fleet.cancel(aws.ec2, fleet.by_tags(aws.ec2, run), fleet.young(run, clock()))
    left = fleet.machines(aws.ec2, run)
    fleet.terminate(aws.ec2, left)
    if ended:
        yield f"{several(ended, 'fleet')} ended with all machines"
    elif left:
        yield f"{several(len(left), 'machine')} ended"
    names = cloudwatch.alarms_of_run(aws.cloudwatch, run)
    cloudwatch.delete_alarms(aws.cloudwatch, names)
    templates = launch_template.of_run(aws.ec2, run)
    for template in templates:
        launch_template.delete(aws.ec2, template)
    if names or templates:
        yield "alarms and launch templates removed"


def end_run(aws: AWS, run: Run, now: float) -> Iterator[str]:
    """Take down everything of a finished run and write report.json. Yield what was done."""
    yield from end_machines(aws, run, lambda: now)
    delete_queue(aws.sqs, run.queue_url)
    yield f"queue {run.queue_url.rsplit('/', 1)[-1]} deleted"
    count = ecs.deregister_task_definitions(aws.ecs, run)
    yield f"{several(count, 'task definition')} deregistered"
    ecs.forget_machines(aws.ecs, run)
    if ecs.delete_if_unused(aws.ecs, run.cluster):
        yield f"cluster {run.cluster} deleted"
    else:
        # ECS does not distinguish the two, and the auto-monitor has no time to wait.
        yield (
            f"cluster {run.cluster} kept (no charge): others use it, or containers are still "
            "stopping in it; the end of the next run in it removes it if it is empty"
        )
    if run.config.CLEAN_DASHBOARD:
        cloudwatch.delete_dashboard(aws.cloudwatch, run)
        yield "dashboard removed"

    def ended(run: Run) -> Run:
        return dataclasses.replace(run, ended=utc(now), end_reason="every job has ended")

    write_report(aws, ended(run), now)
    # Last: until this is written, the next start of the monitor goes through the end again.
    store.change(aws.s3, run, ended)
