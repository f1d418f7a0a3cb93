"""What AWS does with fleets, machines, services and tasks, without boto3, moto or a clock.

`advance(world, events, now)` gives the world at `now`, the effects that somebody has to make real
(start a task, ask it to stop, kill it) and one answer an event. Times are seconds since the epoch.
"""

from embedded_aws.model.advance import Advanced, advance
from embedded_aws.model.things import MachineType, Refused
from embedded_aws.model.timings import AWS_TIMINGS, FAST_TIMINGS, Timings
from embedded_aws.model.world import Effect, KillTask, StartTask, StopTask, World

__all__ = [
    "AWS_TIMINGS",
    "FAST_TIMINGS",
    "Advanced",
    "Effect",
    "KillTask",
    "MachineType",
    "Refused",
    "StartTask",
    "StopTask",
    "Timings",
    "World",
    "advance",
]
