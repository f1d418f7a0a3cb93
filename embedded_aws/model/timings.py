"""The times that AWS takes for what the model does by itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """Times in seconds. A value without a source is a guess."""

    fleet_active: float = 3.0  # submitted -> active
    fulfil: float = 10.0  # from a need for instances to their launch
    retry_capacity: float = 60.0  # between attempts while a pool has no capacity
    modify: float = 3.0  # time in the state `modifying`
    boot: float = 25.0  # pending -> running
    register: float = 45.0  # running -> registered as a container instance
    retry_register: float = 15.0  # the agent's next attempt while its cluster does not exist
    tick: float = 1.0  # events fall on multiples of it, so that one step takes many
    jitter: float = 0.3  # boot and registration vary by this share
    shutdown: float = 30.0  # shutting-down -> terminated, with nothing left to stop ...
    shutdown_most: float = 120.0  # ... and while containers are still stopping
    task_start: float = 20.0  # placement -> RUNNING: image pull and container start
    notice: float = (
        120.0  # interruption notice -> end (EC2 guide, spot-instance-termination-notices)
    )
    history_delay: float = 30.0  # botocore: ec2.DescribeSpotFleetRequestHistory, "up to 30 seconds"
    throttle_first: float = 10.0  # first pause of a service whose tasks cannot start ...
    throttle_most: float = 1620.0  # ... and its longest (ECS guide, service-throttle-logic)
    forget_instance: float = 3600.0  # botocore: ec2.TerminateInstances, "approximately one hour"
    forget_task: float = 3600.0  # botocore: ecs.DescribeTasks, "for at least one hour"
    forget_fleet: float = 172800.0  # botocore: ec2.DescribeSpotFleetRequests, 48 hours


AWS_TIMINGS = Timings()
# For `local` and tests: the same order of events, in fractions of a second.
FAST_TIMINGS = Timings(
    tick=0.0,
    fleet_active=0.05,
    fulfil=0.1,
    retry_capacity=1.0,
    modify=0.05,
    boot=0.2,
    register=0.2,
    retry_register=0.5,
    jitter=0.0,
    shutdown=0.2,
    shutdown_most=20.0,
    task_start=0.1,
    history_delay=0.0,
    throttle_first=1.0,
    throttle_most=60.0,
)
