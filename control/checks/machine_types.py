"""check: whether the containers fit on the machines, and the disk on its image."""

from __future__ import annotations

from collections.abc import Iterator

from control.checks import fitting
from control.checks.findings import Finding, Subject, failed, passed, unknown, warned
from control.errors import UserError
from control.services import machines
from control.services.machines import MachineType
from control.words import several


def types(subject: Subject) -> Iterator[Finding]:
    """Whether EC2 has the machine types. Sets the subject's types."""
    try:
        subject.types = machines.machine_types(subject.aws.ec2, subject.config.MACHINE_TYPE)
    except UserError as error:
        yield failed("machine types", "no type", message=error.what)
        return
    told = (f"{t.name} ({t.vcpus} vCPUs, {t.memory_mib:,} MiB)" for t in subject.types)
    yield passed("machine types", ", ".join(told))


def fits(subject: Subject) -> Iterator[Finding]:
    """MEMORY, CPU_SHARES, GPUS_PER_TASK and TASKS_PER_MACHINE on each machine type."""
    if not subject.types:
        yield unknown("fit", "no machine type is known")
    for kind in subject.types:
        wrong = list(_does_not_fit(subject, kind))
        yield from wrong
        if not wrong:
            yield _fits(subject, kind)


def _does_not_fit(subject: Subject, kind: MachineType) -> Iterator[Finding]:
    values = subject.config.values()
    tasks = subject.config.TASKS_PER_MACHINE
    fit = fitting.fit(kind, values)
    least, most = fitting.registered_memory(kind.memory_mib)
    names = ("MEMORY", "CPU_SHARES", "GPUS_PER_TASK")
    words = {
        **{name: values[name] for name in names},
        **{"type": kind.name, "advertised": f"{kind.memory_mib:,}"},
        **{"least": f"{least:,}", "most": f"{most:,}", "advise": least // tasks},
        **{"cpu": kind.vcpus * fitting.CPU_OF_VCPU, "gpus": several(kind.gpus, "GPU")},
        **{"tasks": tasks, "fit": fit.containers},
        "memory_a_task": least // tasks,
        "cpu_a_task": kind.vcpus * fitting.CPU_OF_VCPU // tasks,
    }
    if not fit.memory:
        yield failed("fit", "memory", **words)
    if not fit.cpu:
        yield failed("fit", "cpu", **words)
    if fit.gpus == 0:
        yield failed("fit", "gpus", **words)
    if 0 < fit.containers < tasks:
        yield warned("fit", "tasks", **words)
    elif fit.containers and fit.memory_sure < tasks:
        yield warned("fit", "memory close", **words)


def _fits(subject: Subject, kind: MachineType) -> Finding:
    config = subject.config
    most = fitting.fit(kind, config.values()).containers
    room = f"; {most} would" if most > config.TASKS_PER_MACHINE else ""
    fit = "fits" if config.TASKS_PER_MACHINE == 1 else "fit"
    containers = several(config.TASKS_PER_MACHINE, "container")
    return passed("fit", f"{containers} of MEMORY = {config.MEMORY} {fit} on {kind.name}{room}")


def disk(subject: Subject) -> Iterator[Finding]:
    """EBS_VOL_SIZE against the snapshot of the machine image."""
    if not subject.types:
        yield unknown("disk", "no machine type is known, so no machine image")
        return
    image_id = subject.file.image_id or machines.newest_image(subject.aws.ssm, subject.types)
    _, image_gib = machines.image(subject.aws.ec2, image_id)
    size = subject.config.EBS_VOL_SIZE
    if size < image_gib:
        yield warned("disk", "disk", size=size, image=image_gib, image_id=image_id)
    else:
        yield passed("disk", f"{size} GiB for {image_id}, which has {image_gib}")
