"""This machine: whether it is fit to take a job, and how it is doing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from plumbing import resources

MOUNT = Path("/home/ubuntu/bucket")
# A machine with less free disk or memory takes no job.
LEAST_DISK = 1_000_000_000
LEAST_DISK_SHARE = 0.02
LEAST_MEMORY = 50_000_000
# A program that ends with less may have found no room for its last file and gone on all the same.
LEAST_LEFT = 1_000_000
# After so many jobs in a row that failed for the machine's own reasons it takes no more.
MOST_FAULTS = 3
_GB = 1e9


@dataclass(frozen=True)
class Identity:
    """Instance id and type; the host name and "" outside EC2."""

    id: str
    type: str = ""

    def __str__(self) -> str:
        return f"{self.id} ({self.type})" if self.type else self.id


def unfit(folder: Path, needs_mount: bool, mount: Path = MOUNT) -> str:
    """Why this machine cannot take a job now; "" if it can."""
    disk = shutil.disk_usage(folder)
    least = min(LEAST_DISK, disk.total * LEAST_DISK_SHARE)
    if disk.free < least:
        return f"the disk is full: {disk.free / _GB:.2f} GB of {disk.total / _GB:.1f} GB are free"
    memory = resources.free_memory()
    if memory < LEAST_MEMORY:
        return f"the memory is full: {memory / 1e6:.0f} MB are free"
    if needs_mount and not os.path.ismount(mount):
        return f"SOURCE_BUCKET is not mounted at {mount} (DOWNLOAD_FILES is False)"
    return ""


def is_full(folder: Path) -> bool:
    """Whether what was just written there may have found no room."""
    disk = os.statvfs(folder)
    free = disk.f_bavail if os.geteuid() else disk.f_bfree
    # Some file systems do not say how large they are.
    return disk.f_blocks > 0 and free * disk.f_frsize < LEAST_LEFT


class Load:
    """Says once a minute how busy the machine has been since the last time."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._since = clock()
        self._busy = resources.busy_cpu()

    def line(self) -> str:
        """CPU since the last line, memory and disk now."""
        now, busy = self._clock(), resources.busy_cpu()
        share = (busy - self._busy) / max(now - self._since, 0.001) / (os.cpu_count() or 1)
        self._since, self._busy = now, busy
        disk = shutil.disk_usage(self._folder)
        total, free = resources.total_memory(), resources.free_memory()
        return (
            f"machine: CPU {share:.0%}, memory {(total - free) / _GB:.1f} of {total / _GB:.1f} GB,"
            f" disk {(disk.total - disk.free) / _GB:.1f} of {disk.total / _GB:.1f} GB"
        )
