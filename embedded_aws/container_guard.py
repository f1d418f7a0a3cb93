"""Remove the containers of one server when it is gone, however it ended.

Run as a program of its own, `container_guard.py ENGINE LABEL=VALUE`; only the standard library. Its
standard input is a pipe held by the server: when that closes, be it by SIGKILL, what is left of
the containers with this label is removed.
"""

from __future__ import annotations

import subprocess
import sys
import time

LOOKS = 100
SECONDS_BETWEEN_LOOKS = 0.2


def main(engine: str, label: str) -> None:
    """Wait for the end of standard input; return when nothing is left."""
    sys.stdin.buffer.read()
    clean = 0
    # Twice clean: one that was being made at the end of the server is seen by the second look.
    for _ in range(LOOKS):
        listing = _run(engine, "ps", "--all", "--quiet", "--filter", f"label={label}")
        left = listing.stdout.split()
        if left:
            # podman's `rm` alone would wait 10 s for those that do not heed SIGTERM.
            _run(engine, "kill", *left)
            _run(engine, "rm", "--force", "--volumes", *left)
        clean = clean + 1 if listing.returncode == 0 and not left else 0
        if clean == 2:
            return
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    # What it fails at is tried again, as long as that makes sense.
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
