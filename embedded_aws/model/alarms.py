"""CloudWatch alarms that end a machine whose CPU idles.

CloudWatch guide, UsingAlarmActions ("Adding terminate actions to CloudWatch alarms"); a fleet of
type maintain replaces what an alarm ended, as it does whatever else ends (botocore:
ec2.SpotFleetRequestConfigData.Type).
"""

from __future__ import annotations

from dataclasses import replace

from embedded_aws.model import events as e
from embedded_aws.model import instances
from embedded_aws.model.things import NEVER, Alarm, Instance
from embedded_aws.model.world import Turn, World


def put(turn: Turn, event: e.PutAlarm) -> None:
    """PutMetricAlarm; one of the same name is replaced (botocore: cloudwatch.PutMetricAlarm)."""
    turn.world.alarms[event.name] = Alarm(**vars(event))
    turn.world.alarms_due = turn.now


def delete(turn: Turn, event: e.DeleteAlarms) -> None:
    """DeleteAlarms; those that are gone already are no error."""
    for name in event.names:
        turn.world.alarms.pop(name, None)


def use_cpu(turn: Turn, event: e.UseCpu) -> None:
    """From now on a machine's CPU is used so much."""
    instance = turn.world.instances.get(event.instance)
    if instance is not None and instance.cpu != event.percent:
        turn.world.instances[instance.id] = replace(instance, cpu=event.percent, cpu_since=turn.now)
        turn.world.alarms_due = turn.now


def step(turn: Turn) -> None:
    """End the machines that have idled for as long as their alarms say."""
    world, next_due = turn.world, NEVER
    if world.alarms_due > turn.now:
        return
    for alarm in world.alarms.values():
        instance = world.instances.get(alarm.instance)
        due = NEVER if instance is None else _due(alarm, instance)
        if instance is not None and due <= turn.now:
            instances.end_by_user(turn, instance)
        elif due < next_due:
            next_due = due
    world.alarms_due = next_due


def next_due(world: World, now: float) -> float:
    """When an alarm next ends a machine."""
    return world.alarms_due


def _due(alarm: Alarm, instance: Instance) -> float:
    """A machine that does not run sends no data, and missing data change nothing (CloudWatch
    guide, alarms-and-missing-data)."""
    if instance.state != "running" or instance.cpu >= alarm.threshold:
        return NEVER
    return instance.cpu_since + alarm.seconds
