"""Look for a line in what a program writes, while it goes on to the job's log."""

from __future__ import annotations

import contextlib
import os
import re
import threading

# What is still in the pipe when its program has ended is read for at most so long: a process left
# behind may keep it open.
_DRAIN_SECONDS = 5.0
_CHUNK = 1 << 16
# Of a line that never ends no more than that is kept.
_LONGEST_LINE = 1 << 16
_LONGEST_FOUND = 500
_TRACEBACK = "Traceback (most recent call last):"


class Search:
    """A way to the job's log: `write` is where the program writes to, within the with block.

    `found` is the first line that has the regular expression in it, "" if none has. If a traceback
    of Python follows, or if it is one, what went wrong is the traceback's last line.
    """

    def __init__(self, pattern: str) -> None:
        self.found = ""
        # Whether the next line may begin a traceback that belongs to it, or is within that.
        self._may_begin = self._within = False
        self._pattern = re.compile(pattern)
        self._read, self.write = os.pipe()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)

    def __enter__(self) -> Search:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.write)
        self._thread.join(_DRAIN_SECONDS)

    def _pass_on(self) -> None:
        rest = b""
        while True:
            data = os.read(self._read, _CHUNK)
            with contextlib.suppress(OSError):  # a job may have closed its output
                _write_all(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._look(line)
            if not data:
                self._look(rest)
                os.close(self._read)
                return
            rest = rest[-_LONGEST_LINE:]

    def _look(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if self._may_begin:
            self._may_begin, self._within = False, text == _TRACEBACK
        elif self._within:
            self._within = text.startswith(" ")
            if not self._within:
                both = text if self.found == _TRACEBACK else f"{self.found}: {text}"
                self.found = both[:_LONGEST_FOUND]
        elif not self.found and self._pattern.search(text.strip()):
            self.found = text.strip()[:_LONGEST_FOUND]
            self._within = self.found == _TRACEBACK
            self._may_begin = not self._within


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
