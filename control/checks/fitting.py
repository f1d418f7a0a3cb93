"""How many containers fit on a machine: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from control.services.machines import MachineType

# What ECS can give to containers is the memory that the machine's kernel leaves, not what EC2
# advertises. Two figures are public, and between them lies what is not sure: an m4.large of 8,192
# MiB registered 7,985 (ECS guide, memory-management), a machine of 32 GiB 31,431 (aws/
# containers-roadmap issue 2231).
MOST_SHARE = 7985 / 8192
LEAST_SHARE = 31_431 / 32_768
CPU_OF_VCPU = 1024


@dataclass(frozen=True)
class Fit:
    """How many containers of a task fit by each resource; `memory_sure` by the lower figure."""

    memory: int
    memory_sure: int
    cpu: int
    gpus: int | None

    @property
    def containers(self) -> int:
        """As many as ECS can place at best."""
        known = [self.memory, self.cpu, *([] if self.gpus is None else [self.gpus])]
        return min(known)


def registered_memory(advertised_mib: int) -> tuple[int, int]:
    """(at least, at most) MiB that a machine registers for containers."""
    return int(advertised_mib * LEAST_SHARE), int(advertised_mib * MOST_SHARE)


def fit(kind: MachineType, settings: Mapping[str, Any]) -> Fit:
    """How many containers of these settings a machine type takes."""
    least, most = registered_memory(kind.memory_mib)
    gpus: int = settings["GPUS_PER_TASK"]
    return Fit(
        memory=most // settings["MEMORY"],
        memory_sure=least // settings["MEMORY"],
        cpu=kind.vcpus * CPU_OF_VCPU // settings["CPU_SHARES"],
        gpus=kind.gpus // gpus if gpus else None,
    )
