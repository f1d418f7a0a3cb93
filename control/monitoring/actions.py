"""The monitor's actions carried out: thin calls, each safe to repeat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from control.monitoring import ending
from control.monitoring.observed import Machine, Observed
from control.monitoring.orders import (
    Action,
    DeleteAlarms,
    EndBroken,
    EndCostly,
    EndMachines,
    EndRefusing,
    EndRun,
    PutAlarm,
    Remove,
    SetDesired,
    SetTarget,
)
from control.services import alarms, cluster, fleet
from control.words import several

if TYPE_CHECKING:
    from control.services.account import AWS
    from control.services.records import Run


def carry_out(aws: AWS, run: Run, action: Action, seen: Observed) -> Iterator[str]:
    """Do one action; yields what was done, in words."""
    match action:
        case SetDesired(tasks):
            cluster.set_desired(aws.ecs, run, tasks)
            yield f"containers wanted: {tasks}"
        case SetTarget(fleet_id, machines):
            fleet.set_target(aws.ec2, fleet_id, machines)
            yield f"fleet {fleet_id}: {several(machines, 'machine')} wanted"
        case Remove(machines=spare):
            yield from _remove(aws, run, spare)
        case EndBroken(instance_ids):
            fleet.terminate(aws.ec2, instance_ids)
            yield f"ended, as they never joined the cluster: {', '.join(instance_ids)}"
        case EndRefusing() | EndCostly():
            yield from _end_with_work(aws, run, action)
        case PutAlarm(machine):
            alarms.put(aws.cloudwatch, run, machine.instance_id, machine.vcpus)
        case DeleteAlarms(names):
            alarms.delete(aws.cloudwatch, names)
        case EndRun():
            yield from ending.end_run(aws, run, seen.now)
        case EndMachines():
            yield from ending.end_machines(aws, run, lambda: seen.now)


def _remove(aws: AWS, run: Run, spare: tuple[Machine, ...]) -> Iterator[str]:
    """Drain first, look again, then end: a task placed in between keeps its machine."""
    cluster.drain(aws.ecs, run, [m.container_instance for m in spare if m.container_instance])
    occupied = {task.get("containerInstanceArn") for task in cluster.tasks(aws.ecs, run)}
    free = [m.instance_id for m in spare if m.container_instance not in occupied]
    fleet.terminate(aws.ec2, free)
    if free:
        yield f"ended, as no work was left for them: {', '.join(free)}"


def _end_with_work(aws: AWS, run: Run, action: EndRefusing | EndCostly) -> Iterator[str]:
    if isinstance(action, EndCostly):
        yield from _end_costly(aws, run, action)
        return
    ended = _end(aws, run, action.machines)
    if ended:
        yield f"ended, as {action.why}: {', '.join(m.instance_id for m in ended)}"


def _end_costly(aws: AWS, run: Run, action: EndCostly) -> Iterator[str]:
    ended = _end(aws, run, action.machines)
    if ended:
        names = ", ".join(m.instance_id for m in ended)
        containers = sum(m.busy_tasks for m in ended)
        back = f"; the jobs of {several(containers, 'container')} go back to the queue"
        yield (
            f"ended, as the machines cost ${action.hourly:.2f} an hour, above MAX_HOURLY_COST = "
            f"{action.limit:g}: {names}{back if containers else ''}"
        )


def _end(aws: AWS, run: Run, machines: tuple[Machine, ...]) -> list[Machine]:
    """End machines, with what work they had; returns those that were.

    Of those that had none, one that has begun some since is left to end it: it gets no more. The
    others are not drained first: broken off in between, they would work on.
    """
    idle = [m for m in machines if not m.busy_tasks]
    cluster.drain(aws.ecs, run, [m.container_instance for m in idle if m.container_instance])
    at_work = cluster.at_work(aws.ecs, run) if idle else set()
    ended = [m for m in machines if m.busy_tasks or m.container_instance not in at_work]
    fleet.terminate(aws.ec2, [m.instance_id for m in ended])
    return ended
