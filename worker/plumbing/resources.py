"""What this machine and this container have: memory, disk, and kills for want of memory."""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import Iterator

CGROUPS = Path("/sys/fs/cgroup")
# v1 writes its "no limit" as a number near 2**63.
_NO_LIMIT = 1 << 60
# Whom the kernel ends first where memory is out: a program, which its job outlives and can tell
# of; else the job's own process; worker and container never before these.
PROGRAM_ENDS, JOB_ENDS = 1000, 900


def oom_kills() -> int | None:
    """How many processes of this container the kernel has killed for want of memory.

    None where the kernel does not count them. memory.events of cgroup v2, memory.oom_control of
    v1: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
    """
    for name in ("memory.events", "memory.oom_control"):
        for line in _read(name).splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
    return None


def be_ended_first(score: int) -> None:
    """Let the kernel, where memory is out, end this process and what it starts before others.

    So many thousandths of all memory there is are added to the size by which it chooses
    (/proc/PID/oom_score_adj, proc(5)). Raising that needs no privilege.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(score))


def memory_limit() -> int | None:
    """The container's memory limit in bytes; None if it has none."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = _read(name).strip()
        if text.isdigit() and int(text) < _NO_LIMIT:
            return int(text)
    return None


def free_memory() -> int:
    """Bytes that programs here can still get: the container's share or the machine's."""
    free = _meminfo("MemAvailable")
    limit = memory_limit()
    if limit is not None:
        used = _read("memory.current") or _read("memory.usage_in_bytes")
        if used.strip().isdigit():
            free = min(free, limit - int(used) + _reclaimable())
    return free


def total_memory() -> int:
    """Bytes of memory that the container may use."""
    return min(_meminfo("MemTotal"), memory_limit() or _NO_LIMIT)


def busy_cpu() -> float:
    """CPU seconds that all of the machine has been busy since it started."""
    with open("/proc/stat", "rb") as file:
        user, nice, system, _idle, _wait, irq, soft, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def used_disk(folder: Path) -> int:
    """Bytes on disk that the files below `folder` take; files may vanish meanwhile."""
    total = 0
    for entry in _files(str(folder)):
        try:
            total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    waiting: list[str] = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry
        except OSError:
            continue


def _meminfo(name: str) -> int:
    with open("/proc/meminfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0]) * 1024
    return 0


def _reclaimable() -> int:
    """Bytes of the container's page cache that the kernel gives up when they are asked for."""
    for line in _read("memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _read(name: str) -> str:
    """A file of this process's memory cgroup, v2 or v1; "" if there is none."""
    path = _find(name)
    if path is None:
        return ""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


# It is asked for at each job, and never moves.
@functools.lru_cache(maxsize=None)
def _find(name: str) -> str | None:
    """Where a file of this process's memory cgroup is.

    Within a container the own cgroup is the root of what is mounted; outside it lies below.
    """
    for base, path in _cgroups():
        for file in (base / path / name, base / name):
            if os.access(file, os.R_OK):
                return str(file)
    return None


def _cgroups() -> Iterator[tuple[Path, str]]:
    """Mount point and path of the cgroups that may account for memory: v1's first."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    found = [line.split(":", 2) for line in lines]
    for _, controllers, path in found:
        if "memory" in controllers.split(","):
            yield CGROUPS / "memory", path.lstrip("/")
    for number, controllers, path in found:
        if number == "0" and controllers == "":
            yield CGROUPS, path.lstrip("/")
