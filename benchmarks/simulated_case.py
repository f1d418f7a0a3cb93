"""A simulated run: its jobs, its timings, and the requests of startCluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from embedded_aws.model import AWS_TIMINGS, MachineType
from embedded_aws.model import events as e
from embedded_aws.model.things import NEVER, AgentConfig, LaunchSpec, TaskDefinition

# The model forgets nothing, so each machine's whole life counts at the end; events wait for the
# next multiple of 10 s, so that a thousand machines need few steps.
TIMINGS = replace(AWS_TIMINGS, forget_instance=NEVER, tick=10.0)
CLUSTER = SERVICE = "app"
MACHINE_TYPES = {"m5.xlarge": MachineType(4, 16384)}
MEMORY_MIB = 15_500
# A monitor that waits 60 s between steps, and the time of a step itself.
POLL = 65.0
# As worker/plumbing does it: seconds until a container without work drops its protection, until
# an interrupted job is back in the queue, the longest poll of SQS.
IDLE_BEFORE_RELEASE, SECONDS_TO_GIVE_BACK, LONGEST_POLL = 10.0, 5.0, 20.0
# An alarm ends a machine whose CPU idles for this time.
IDLE_SECONDS = 15 * 60.0
# The first back-off of a failed job, and its visibility timeout if its worker is killed.
BACKOFF, VISIBILITY = 10.0, 120.0
# The delay of what a worker reports to the agent or to CloudWatch.
MESSENGER = 10.0


@dataclass(frozen=True)
class Case:
    """The jobs and machines: `lengths` are the jobs' seconds in the order of the queue."""

    machines: int
    lengths: Sequence[float]
    seed: int
    tasks_per_machine: int = 1
    jobs_per_task: int = 1
    interruptions_an_hour: float = 0.0  # of each machine
    failing: float = 0.0  # share of jobs whose first attempt fails at its end
    lag: float = 30.0  # the age of the queue's counts, in seconds

    @property
    def needed_seconds(self) -> float:
        """Return the machine-seconds needed if every place of a machine always worked."""
        return sum(self.lengths) / (self.tasks_per_machine * self.jobs_per_task)


def fleet_request(machines: int) -> e.RequestFleet:
    """Return a request as startCluster makes it, after the monitor's first change of its target."""
    agent = AgentConfig(CLUSTER, {"app": "app"}, spot_draining=True)
    specs = tuple(LaunchSpec("m5.xlarge", f"us-east-1{z}", agent=agent) for z in "abc")
    return e.RequestFleet(specs, machines, strategy="priceCapacityOptimized", keep_excess=True)


def service_request(tasks_per_machine: int, machines: int) -> e.CreateService:
    """Return a request for the service as `setup` makes it."""
    definition = TaskDefinition(
        "arn:aws:ecs:us-east-1:123456789012:task-definition/app:1",
        "app",
        cpu=4096 // tasks_per_machine,
        memory=MEMORY_MIB // tasks_per_machine,
        stop_timeout=110.0,
    )
    return e.CreateService(
        CLUSTER,
        SERVICE,
        machines * tasks_per_machine,
        definition=definition,
        minimum_percent=0,
        maximum_percent=100,
        constraints=("attribute:app == app",),
        strategy=(("binpack", "memory"),),
    )
