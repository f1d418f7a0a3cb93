"""A job's own log: all of it in a file, the first part of it on standard output as well.

Lines of the worker's own stand among those of the job. The last lines, by which a failure is
explained, are the job's alone.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Callable, Iterable, Sequence

from plumbing import console, own_lines
from plumbing.errors import MACHINE_ERRORS

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
        # What may be the beginning of a line of the worker's own.
        self._held = b""
        self._tail = bytearray()

    def line(self, text: str) -> None:
        """A line of the worker's own about the job; printed in any case."""
        self._let_go()
        data = text.replace("\n", " ").encode("utf-8", "replace")
        self._save_own(data)
        self._print([data])

    def add(self, data: bytes) -> None:
        """What the job has written, in whichever pieces, and what own_lines wrote between."""
        data, self._held = self._held + data, b""
        while True:
            before, mark, rest = data.partition(own_lines.MARK)
            if not mark:
                break
            self._add(before)
            line, end, data = rest.partition(b"\n")
            if not end and len(rest) < own_lines.LONGEST:
                self._held = mark + rest
                return
            self._save_own(line)
            self._print_some([line])
        held = own_lines.begun(data)
        self._held = data[len(data) - held :]
        self._add(data[: len(data) - held])

    def _let_go(self) -> None:
        """Nothing more of what was held has come."""
        held, self._held = self._held, b""
        if held.startswith(own_lines.MARK):
            self._save_own(held[len(own_lines.MARK) :])
        else:
            self._add(held)

    def _add(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > 2 * _TAIL_BYTES:
            del self._tail[:-_TAIL_BYTES]
        self._save(data)
        if self._left <= 0:
            return
        *lines, self._unfinished = _LINE_END.split(self._unfinished + data)
        while len(self._unfinished) > LONGEST_LINE:
            lines.append(self._unfinished[:LONGEST_LINE])
            self._unfinished = self._unfinished[LONGEST_LINE:]
        self._print_some(lines)

    def _save_own(self, data: bytes) -> None:
        if self._tail and not self._tail.endswith((b"\n", b"\r")):
            self._add(b"\n")
        self._save(data + b"\n")

    def last_lines(self) -> list[str]:
        """The last lines that the job has written."""
        lines = _LINE_END.split(bytes(self._tail[-_TAIL_BYTES:]))
        texts = [line.decode("utf-8", "replace") for line in lines if line]
        return [text[:LONGEST_LAST_LINE] for text in texts[-LAST_LINES:]]

    def close(self) -> None:
        self._let_go()
        os.close(self._file)

    def _save(self, data: bytes) -> None:
        try:
            os.write(self._file, data)
        except OSError as error:
            why = MACHINE_ERRORS.get(error.errno or 0) or error.strerror
            self.fault = f"{why}: the log could not be written"

    def _print_some(self, lines: Sequence[bytes]) -> None:
        """As much as the limit lets through."""
        if self._left <= 0:
            return
        self._left -= sum(map(len, lines))
        self._print(lines)
        if self._left <= 0:
            self._print([b"(LOG_MB_PER_JOB reached: the rest is only in the job's log on S3)"])

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
