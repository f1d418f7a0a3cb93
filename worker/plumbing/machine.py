"""This machine and this container: memory, disk, OOM kills, and whether a job can be accepted."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

MOUNT = Path("/home/ubuntu/bucket")
CGROUPS = Path("/sys/fs/cgroup")
# A machine with less free disk or memory accepts no jobs.
LEAST_DISK = 1_000_000_000
LEAST_DISK_SHARE = 0.02
LEAST_MEMORY = 50_000_000
# A program that ends with less may have found no room for its last file and continued.
LEAST_LEFT = 1_000_000
# After that many jobs in a row that failed for the machine's own reasons it accepts no more.
MOST_FAULTS = 3
# The kernel ends a program first when memory is out, since its job can report that; then the job's
# own process; worker and container never before these.
PROGRAM_ENDS, JOB_ENDS = 1000, 900
# v1 writes its "no limit" as a number near 2**63.
_NO_LIMIT = 1 << 60
_GB = 1e9


@dataclass(frozen=True)
class Identity:
    """Instance id and type; the host name and "" outside EC2."""

    id: str
    type: str = ""

    def __str__(self) -> str:
        return f"{self.id} ({self.type})" if self.type else self.id


class Trouble(NamedTuple):
    """The reason to accept no job. `cause`: one of errors.Cause, or not_mounted or queue_gone."""

    cause: str
    reason: str


def unfit(folder: Path, needs_mount: bool, mount: Path = MOUNT) -> Trouble | None:
    """Return why this machine cannot accept a job now; None if it can."""
    disk = shutil.disk_usage(folder)
    least = min(LEAST_DISK, disk.total * LEAST_DISK_SHARE)
    if disk.free < least:
        sizes = f"{disk.free / _GB:.2f} GB of {disk.total / _GB:.1f} GB are free"
        return Trouble("disk_full", f"the disk is full: {sizes}")
    memory = free_memory()
    if memory < LEAST_MEMORY:
        return Trouble("out_of_memory", f"the memory is full: {memory / 1e6:.0f} MB are free")
    if needs_mount and not os.path.ismount(mount):
        reason = f"SOURCE_BUCKET is not mounted at {mount} (DOWNLOAD_FILES is False)"
        return Trouble("not_mounted", reason)
    return None


def is_full(folder: Path) -> bool:
    """Return whether a file that was just written there may have found no room."""
    disk = os.statvfs(folder)
    free = disk.f_bavail if os.geteuid() else disk.f_bfree
    # Some file systems do not report their size.
    return disk.f_blocks > 0 and free * disk.f_frsize < LEAST_LEFT


class Load:
    """Reports how busy the machine has been since the last report."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._since = clock()
        self._busy = busy_cpu()

    def line(self) -> str:
        """Return CPU since the last line, memory and disk now."""
        now, busy = self._clock(), busy_cpu()
        share = (busy - self._busy) / max(now - self._since, 0.001) / (os.cpu_count() or 1)
        self._since, self._busy = now, busy
        disk = shutil.disk_usage(self._folder)
        total, free = total_memory(), free_memory()
        return (
            f"machine: CPU {share:.0%}, memory {(total - free) / _GB:.1f} of {total / _GB:.1f} GB,"
            f" disk {(disk.total - disk.free) / _GB:.1f} of {disk.total / _GB:.1f} GB"
        )


def out_of_memory(what: str, memory: object) -> str:
    """Return the reason of a job for which the kernel killed `what`; `memory` is MEMORY in MB."""
    limit = memory_limit()
    limits = f" (limit {limit >> 20} MiB)" if limit else ""
    return f"out of memory: the kernel killed {what}{limits}; MEMORY is {memory or 'not set'}"


def oom_kills() -> int | None:
    """Return how many processes of this container the kernel has killed when memory ran out.

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
    """Let the kernel end this process and its children before others when memory runs out.

    `score` thousandths of all memory are added to the size by which the kernel chooses
    (/proc/PID/oom_score_adj, proc(5)). Raising it needs no privilege.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(score))


def memory_limit() -> int | None:
    """Return the container's memory limit in bytes; None if it has none."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = _read(name).strip()
        if text.isdigit() and int(text) < _NO_LIMIT:
            return int(text)
    return None


def free_memory() -> int:
    """Return the bytes that programs here can still get, of the container or of the machine."""
    free = _meminfo("MemAvailable")
    limit = memory_limit()
    if limit is not None:
        used = _read("memory.current") or _read("memory.usage_in_bytes")
        if used.strip().isdigit():
            free = min(free, limit - int(used) + _reclaimable())
    return free


def total_memory() -> int:
    """Return the bytes of memory that the container may use."""
    return min(_meminfo("MemTotal"), memory_limit() or _NO_LIMIT)


def busy_cpu() -> float:
    """Return the CPU seconds that the whole machine has been busy since it started."""
    with open("/proc/stat", "rb") as file:
        user, nice, system, _idle, _wait, irq, soft, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def used_disk(folder: Path) -> int:
    """Return the bytes on disk of the files below `folder`; files may vanish meanwhile."""
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
    """Return the bytes of the container's page cache that the kernel frees on demand."""
    for line in _read("memory.stat").splitlines():
        key, _, value = line.partition(" ")
        if key in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _read(name: str) -> str:
    """Return a file of this process's memory cgroup, v2 or v1; "" if there is none."""
    path = _find(name)
    if path is None:
        return ""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


# Needed at each job; it never moves.
@functools.lru_cache(maxsize=None)
def _find(name: str) -> str | None:
    """Return where a file of this process's memory cgroup is.

    Inside a container its own cgroup is the root of the mount; outside it is below.
    """
    for base, path in _cgroups():
        for file in (base / path / name, base / name):
            if os.access(file, os.R_OK):
                return str(file)
    return None


def _cgroups() -> Iterator[tuple[Path, str]]:
    # v1's first.
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
