"""A command on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def lines_on_terminal(command, columns=80, **options):
    """Return what a command shows on a terminal with `columns`: lines, without colors.

    What a progress bar writes over itself counts as lines, too.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"TERM": "xterm-256color"}
    with subprocess.Popen(command, stdout=slave, stderr=slave, stdin=slave, env=env, **options):
        os.close(slave)
        written = b""
        while piece := _read(master):
            written += piece
    os.close(master)
    return _ESCAPES.sub("", written.decode()).replace("\r\n", "\n").replace("\r", "\n").splitlines()


def _read(master):
    try:
        return os.read(master, 1 << 16)
    except OSError:  # EIO: the last one that had it open has ended
        return b""
