"""Check that containers fit on the machine types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from control.aws.ec2 import (
    MachineType,
    describe_machine_image,
    describe_machine_types,
    newest_machine_image,
)
from control.checks.findings import Finding, Subject, failed, passed, unknown, warned
from control.config import Config
from control.text import several

# Containers get the memory that the machine's kernel leaves, not what EC2 advertises. Two figures
# are public, and the truth is between them: an m4.large of 8,192 MiB registered 7,985 (ECS guide,
# memory-management), a machine of 32 GiB 31,431 (aws/containers-roadmap issue 2231).
MOST_SHARE = 7985 / 8192
LEAST_SHARE = 31_431 / 32_768
CPU_OF_VCPU = 1024


@dataclass(frozen=True)
class Fit:
    """The number of containers that fit by each resource; `memory_sure` by the lower figure."""

    memory: int
    memory_sure: int
    cpu: int
    gpus: int | None

    @property
    def containers(self) -> int:
        """Return how many ECS can place at best."""
        known = [self.memory, self.cpu, *([] if self.gpus is None else [self.gpus])]
        return min(known)


def registered_memory(advertised_mib: int) -> tuple[int, int]:
    """Return (at least, at most) the MiB that a machine registers for containers."""
    return int(advertised_mib * LEAST_SHARE), int(advertised_mib * MOST_SHARE)


def fit(kind: MachineType, config: Config) -> Fit:
    """Return how many containers of these settings fit on a machine type."""
    least, most = registered_memory(kind.memory_mib)
    gpus: int = config.GPUS_PER_TASK
    return Fit(
        memory=most // config.MEMORY,
        memory_sure=least // config.MEMORY,
        cpu=kind.vcpus * CPU_OF_VCPU // config.CPU_SHARES,
        gpus=kind.gpus // gpus if gpus else None,
    )


def types(subject: Subject) -> Iterator[Finding]:
    """Check that EC2 has the machine types; set the subject's types."""
    subject.types = describe_machine_types(subject.aws.ec2, subject.config.MACHINE_TYPE)
    kinds = (f"{t.name} ({t.vcpus} vCPUs, {t.memory_mib:,} MiB)" for t in subject.types)
    yield passed("machine types", ", ".join(kinds))


def fits(subject: Subject) -> Iterator[Finding]:
    """Check MEMORY, CPU_SHARES, GPUS_PER_TASK and TASKS_PER_MACHINE on each machine type."""
    if not subject.types:
        yield unknown("fit", "no machine type is known")
    for kind in subject.types:
        wrong = list(_does_not_fit(subject, kind))
        yield from wrong
        if not wrong:
            yield _fits(subject, kind)


def _does_not_fit(subject: Subject, kind: MachineType) -> Iterator[Finding]:
    config = subject.config
    tasks = config.TASKS_PER_MACHINE
    fitted = fit(kind, config)
    least, most = registered_memory(kind.memory_mib)
    names = ("MEMORY", "CPU_SHARES", "GPUS_PER_TASK")
    words = {
        **{name: getattr(config, name) for name in names},
        **{"type": kind.name, "advertised": f"{kind.memory_mib:,}"},
        **{"least": f"{least:,}", "most": f"{most:,}", "advise": least // tasks},
        **{"cpu": kind.vcpus * CPU_OF_VCPU, "gpus": several(kind.gpus, "GPU")},
        **{"tasks": tasks, "fit": fitted.containers},
        "memory_a_task": least // tasks,
        "cpu_a_task": kind.vcpus * CPU_OF_VCPU // tasks,
    }
    if not fitted.memory:
        yield failed("fit", "memory", **words)
    if not fitted.cpu:
        yield failed("fit", "cpu", **words)
    if fitted.gpus == 0:
        yield failed("fit", "gpus", **words)
    if 0 < fitted.containers < tasks:
        yield warned("fit", "tasks", **words)
    elif fitted.containers and fitted.memory_sure < tasks:
        yield warned("fit", "memory close", **words)


def _fits(subject: Subject, kind: MachineType) -> Finding:
    config = subject.config
    most = fit(kind, config).containers
    room = f"; {most} would" if most > config.TASKS_PER_MACHINE else ""
    verb = "fits" if config.TASKS_PER_MACHINE == 1 else "fit"
    containers = several(config.TASKS_PER_MACHINE, "container")
    return passed("fit", f"{containers} of MEMORY = {config.MEMORY} {verb} on {kind.name}{room}")


def disk(subject: Subject) -> Iterator[Finding]:
    """Compare EBS_VOL_SIZE with the snapshot of the machine image."""
    if not subject.types:
        yield unknown("disk", "no machine type is known, so no machine image")
        return
    image_id = subject.file.image_id or newest_machine_image(subject.aws.ssm, subject.types)
    _, image_gib = describe_machine_image(subject.aws.ec2, image_id)
    size = subject.config.EBS_VOL_SIZE
    if size < image_gib:
        yield warned("disk", "disk", size=size, image=image_gib, image_id=image_id)
    else:
        yield passed("disk", f"{size} GiB for {image_id}, which has {image_gib}")
