"""A job's own log: all of it in a file, the first part of it on standard output as well."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Callable, Iterable

from plumbing import console

LAST_LINES = 30
# Of a line in last_lines; the log itself has all of it.
LONGEST_LAST_LINE = 500
# A "line" that never ends is printed in pieces of so many bytes.
LONGEST_LINE = 3500
_TAIL_BYTES = 1 << 16
_LINE_END = re.compile(rb"\r\n|\n|\r")


class JobLog:
    """Takes the bytes that a job writes. `limit`: so many bytes of it are printed."""

    def __init__(
        self,
        path: Path,
        name: str,
        limit: int,
        write: Callable[[bytes], object] = console.write,
    ) -> None:
        self.path = path
        self.fault = ""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._name = name.encode("utf-8", "replace")
        self._left = limit
        self._write = write
        self._unfinished = b""
        self._tail = bytearray()

    def line(self, text: str) -> None:
        """A line of the worker's own about the job; printed in any case."""
        data = text.replace("\n", " ").encode("utf-8", "replace")
        if self._tail and not self._tail.endswith((b"\n", b"\r")):
            self.add(b"\n")
        self._keep(data + b"\n")
        self._print([data])

    def add(self, data: bytes) -> None:
        """What the job has written, in whichever pieces."""
        self._keep(data)
        if self._left <= 0:
            return
        *lines, self._unfinished = _LINE_END.split(self._unfinished + data)
        while len(self._unfinished) > LONGEST_LINE:
            lines.append(self._unfinished[:LONGEST_LINE])
            self._unfinished = self._unfinished[LONGEST_LINE:]
        self._left -= sum(map(len, lines))
        self._print(lines)
        if self._left <= 0:
            self._print([b"(LOG_MB_PER_JOB reached: the rest is only in the job's log on S3)"])

    def last_lines(self) -> list[str]:
        """The last lines of the log."""
        lines = _LINE_END.split(bytes(self._tail[-_TAIL_BYTES:]))
        texts = [line.decode("utf-8", "replace") for line in lines if line]
        return [text[:LONGEST_LAST_LINE] for text in texts[-LAST_LINES:]]

    def close(self) -> None:
        os.close(self._file)

    def _keep(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > 2 * _TAIL_BYTES:
            del self._tail[:-_TAIL_BYTES]
        try:
            os.write(self._file, data)
        except OSError as error:
            self.fault = f"the log could not be written: {error.strerror}"

    def _print(self, lines: Iterable[bytes]) -> None:
        out = b""
        for line in lines:
            for start in range(0, len(line), LONGEST_LINE):
                # CloudWatch takes UTF-8 only.
                text = line[start : start + LONGEST_LINE].decode("utf-8", "replace").encode()
                piece = b"[%s] %s\n" % (self._name, text)
                if out and len(out) + len(piece) > console.WHOLE:
                    self._write(out)
                    out = b""
                out += piece
        if out:
            self._write(out)
