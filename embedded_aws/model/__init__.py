"""A pure model of AWS's fleets, machines, services and tasks: no boto3, no moto, no clock.

`advance(world, events, now)` returns the world at `now`, the effects that the caller must make real
(start a task, stop it, kill it) and one answer for each event. Times are seconds since the epoch.
Each behavior names its source: "botocore: SERVICE.SHAPE" is the text in botocore's service model,
"EC2 guide", "ECS guide" name a page of AWS's user guides, "guess" marks what no page states.
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
