"""The world of one account in one region, and the effects that others must make real."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from embedded_aws.model.things import (
    NEVER,
    ContainerInstance,
    Fleet,
    Instance,
    MachineType,
    Service,
    Task,
)
from embedded_aws.model.timings import AWS_TIMINGS, Timings


@dataclass(frozen=True)
class StartTask:
    """Start the task's program."""

    task: str


@dataclass(frozen=True)
class StopTask:
    """Send SIGTERM to the task's program."""

    task: str


@dataclass(frozen=True)
class KillTask:
    """Send SIGKILL to all of the task."""

    task: str


Effect = StartTask | StopTask | KillTask


@dataclass
class World:
    """All of one account in one region; copied at each advance, so an older one stays as it was.

    `capacity` limits the machines of a pool: by "type/zone", "type", "zone" or "*"; what it does
    not name has no limit. `vcpu_quota` is the account's spot quota (EC2 guide, using-spot-limits).
    `draining_spares_protected`: sources disagree, so it can be either (guess: True).
    """

    machine_types: Mapping[str, MachineType]
    timings: Timings = AWS_TIMINGS
    account: str = "123456789012"
    region: str = "us-east-1"
    seed: int = 0
    counter: int = 0
    capacity: Mapping[str, int] = field(default_factory=dict)
    vcpu_quota: int | None = None
    draining_spares_protected: bool = True
    wake: float = NEVER  # the next moment at which something happens by itself
    clusters: dict[str, float] = field(default_factory=dict)
    fleets: dict[str, Fleet] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    container_instances: dict[str, ContainerInstance] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)

    def copy(self) -> World:
        """Return a world that can change without changing this one."""
        return replace(
            self,
            clusters=dict(self.clusters),
            fleets=dict(self.fleets),
            tokens=dict(self.tokens),
            instances=dict(self.instances),
            container_instances=dict(self.container_instances),
            services=dict(self.services),
            tasks=dict(self.tasks),
        )

    def new_id(self, length: int = 17) -> str:
        """Return the next id in hexadecimal digits; the same seed gives the same ids."""
        self.counter += 1
        text = f"{self.seed}/{self.region}/{self.counter}"
        return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()[:length]

    def chance(self) -> float:
        """Return the next random number, 0 <= x < 1, from the same seeded sequence as the ids."""
        return int(self.new_id(12), 16) / 16**12

    def arn(self, kind: str, *parts: str) -> str:
        """Return an ARN of ECS; `kind` is cluster, service, task or container-instance."""
        return f"arn:aws:ecs:{self.region}:{self.account}:{kind}/" + "/".join(parts)


@dataclass
class Turn:
    """One moment of an advance: the world being changed, its time, and the effects so far."""

    world: World
    now: float
    effects: list[Effect]
