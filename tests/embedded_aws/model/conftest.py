"""A world with round figures, and a clock that only moves when told to."""

from dataclasses import replace

import pytest

from embedded_aws.model import AWS_TIMINGS, MachineType, Refused, World, advance
from embedded_aws.model import events as e
from embedded_aws.model.things import AgentConfig, LaunchSpec, TaskDefinition

TIMINGS = replace(
    AWS_TIMINGS,
    tick=0.0,
    jitter=0.0,
    fleet_active=3.0,
    fulfil=10.0,
    modify=3.0,
    boot=20.0,
    register=30.0,
    shutdown=10.0,
    shutdown_most=60.0,
    task_start=5.0,
    retry_capacity=60.0,
    history_delay=30.0,
)
UP = 3 + 10 + 20 + 30  # seconds from a fleet request to registered instances
TYPES = {
    "m5.large": MachineType(2, 8192, spot_price=0.03),
    "m5.xlarge": MachineType(4, 16384, spot_price=0.06),
    "g5.xlarge": MachineType(4, 16384, gpus=1, spot_price=0.4),
}


class Simulation:
    """The world, its effects so far, and the usual requests."""

    up = UP

    def __init__(self):
        self.world = World(TYPES, TIMINGS)
        self.now = 1000.0
        self.effects = []

    def do(self, event):
        """Let an event happen now; return its answer."""
        self.world, effects, (answer,) = advance(self.world, [event], self.now)
        self.effects += effects
        if isinstance(answer, Refused):
            raise answer
        return answer

    def wait(self, seconds):
        """Let time pass."""
        self.now += seconds
        self.world, effects, _ = advance(self.world, [], self.now)
        self.effects += effects

    def effects_on(self, kind):
        """Return the tasks of the effects of this kind."""
        return [effect.task for effect in self.effects if isinstance(effect, kind)]

    def spec(self, kind="m5.large", zone="us-east-1a", **changes):
        """Return a pool whose instances join the cluster `c` with the attribute app=x."""
        agent = AgentConfig("c", {"app": "x"})
        return LaunchSpec(kind, zone, **{"agent": agent, "image_id": "ami-1", **changes})

    def request(self, target, *specs, **changes):
        """Request a fleet."""
        return self.do(e.RequestFleet(specs or (self.spec(),), target, **changes))

    def definition(self, revision=1, cpu=1024, memory=3000, **changes):
        """Return a task definition; an m5.large has room for two of its tasks."""
        arn = f"arn:aws:ecs:us-east-1:123456789012:task-definition/f:{revision}"
        return TaskDefinition(arn, "f", cpu, memory, **{"stop_timeout": 30.0, **changes})

    def serve(self, desired, name="s", **changes):
        """Create the cluster `c` and a service in it."""
        values = {"minimum_percent": 0, "strategy": (("binpack", "memory"),), **changes}
        definition = values.pop("definition", self.definition())
        self.do(e.CreateCluster("c"))
        return self.do(e.CreateService("c", name, desired, definition=definition, **values))

    def up_and_running(self, machines, desired, **changes):
        """Request a fleet with a service and wait until its tasks run."""
        self.serve(desired, **changes)
        fleet = self.request(machines)
        self.wait(UP + 5)
        return fleet

    def protect(self, task, enabled=True, minutes=None):
        """Protect a task from scale-in."""
        return self.do(e.ProtectTask("c", task, enabled, minutes))

    def scale(self, desired):
        """Change the desired count of the service `s`."""
        self.do(e.UpdateService("c", "s", desired=desired))

    def fleet(self):
        """Return the only fleet."""
        (found,) = self.world.fleets.values()
        return found

    def service(self):
        """Return the only service."""
        (found,) = self.world.services.values()
        return found

    def sub_types(self):
        """Return the fleet's history."""
        return [record.sub_type for record in self.fleet().history]

    def states(self):
        """Return the states of the instances, in the order of their launch."""
        return [i.state for i in sorted(self.world.instances.values(), key=lambda i: i.number)]

    def instances(self, state="running"):
        """Return the ids of the instances in a state."""
        return [i.id for i in self.world.instances.values() if i.state == state]

    def tasks(self, status="RUNNING"):
        """Return the ARNs of the tasks in a status."""
        return [t.arn for t in self.world.tasks.values() if t.status == status]

    def messages(self):
        """Return the service's events, newest first."""
        return [event.message for event in self.service().events]


@pytest.fixture
def sim():
    return Simulation()
