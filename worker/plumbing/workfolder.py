"""The folder that jobs work in: an empty one for each, removed afterward.

A container locks its folder while one of its processes lives. So the leftovers of a killed one
differ from the folder of another container on the same disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any, Callable

from plumbing.console import say

_PREFIX = "jobs-"
_LOCK = ".lock"


def make(root: Path) -> Path:
    """Return a new folder below `root`, locked until this process and its workers have ended.

    Raise OSError.
    """
    root.mkdir(parents=True, exist_ok=True)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        if _lock(folder, create=True) is not None:
            return folder
        # Another container removed the folder before it was locked.


def remove_leftovers(root: Path) -> None:
    """Remove the folders below `root` that no container holds."""
    for folder in root.glob(f"{_PREFIX}*"):
        lock = _lock(folder, create=False)
        if lock is not None:
            remove(folder)
            os.close(lock)


def remove(folder: Path) -> None:
    """Remove `folder` and everything in it, also what a program made unwritable."""
    if folder.exists():
        shutil.rmtree(folder, onerror=_make_writable)
    if folder.exists():
        say(f"could not remove all of {folder}")


def _lock(folder: Path, create: bool) -> int | None:
    """Return the descriptor that holds the folder's lock; None if another has it."""
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    try:
        lock = os.open(folder / _LOCK, flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _make_writable(function: Callable[[str], Any], path: str, _error: Any) -> None:
    """Make `path` removable and remove it; rmtree calls this where it failed."""
    with contextlib.suppress(OSError):
        os.chmod(os.path.dirname(path), stat.S_IRWXU)
        if not os.path.islink(path):
            os.chmod(path, stat.S_IRWXU)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            function(path)
