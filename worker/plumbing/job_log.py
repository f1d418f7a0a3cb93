"""A job's own log: all of it in a file, the first part of it on standard output too.

The worker's own lines stand among those of the job, without a mark in the file. The last lines,
which explain a failure, are the job's alone. JobLog is in the worker; begin_own and write_own are
for the job's process, whose lines go the same way as everything that the job prints, so that they
are in order.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import re
import sys
from pathlib import Path
from typing import Callable, Iterable, Sequence

from plumbing import console
from plumbing.errors import MACHINE_ERRORS

# A log of up to that many bytes travels inside its record.
LONGEST_PACKED = 64 << 10
LAST_LINES = 30
# The longest line of last_lines; the log itself has all of it.
LONGEST_LAST_LINE = 500
# A "line" that never ends is printed in pieces of this many bytes.
LONGEST_LINE = 3500
# Before each line of the worker's own from the job's process; JobLog takes it away. No program
# writes it by chance.
MARK = b"\x1e\x16own\x16\x1e"
# In bytes. A write of up to PIPE_BUF is never torn by what a program writes: pipe(7).
LONGEST_OWN = 4096
_TAIL_BYTES = 1 << 16
_LINE_END = re.compile(rb"\r\n|\n|\r")

_log: tuple[int, int] | None = None


def begin_own(descriptor: int) -> None:
    """Remember which pipe leads to the job's log; without one write_own does nothing."""
    global _log
    _log = _identity(descriptor)


def write_own(text: str) -> None:
    """Write one line of the worker's own after all that the job has printed so far."""
    if _log is None:
        return
    # The job may have closed its output, or replaced it.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    data = MARK + text.replace("\n", " ").encode("utf-8", "replace")
    # It may also have replaced one of them by a file of its own, which gets no lines of ours.
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if _identity(descriptor) == _log:
                os.write(descriptor, data[: LONGEST_OWN - 1] + b"\n")
                return


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


class JobLog:
    """Takes the bytes that a job writes. `limit`: how many bytes of it are printed."""

    def __init__(
        self,
        path: Path,
        name: str,
        limit: int,
        write: Callable[[bytes], object] = console.write,
    ) -> None:
        self.path = path
        self.fault = ""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._name = name.encode("utf-8", "replace")
        self._left = limit
        self._write = write
        self._unfinished = b""
        # What may be the beginning of a line of the worker's own.
        self._held = b""
        self._tail = bytearray()

    def line(self, text: str) -> None:
        """Add a line of the worker's own about the job; it is always printed."""
        self._let_go()
        data = text.replace("\n", " ").encode("utf-8", "replace")
        self._save_own(data)
        self._print([data])

    def add(self, data: bytes) -> None:
        """Add what the job has written, in any pieces, with the lines of write_own in between."""
        data, self._held = self._held + data, b""
        while True:
            before, mark, rest = data.partition(MARK)
            if not mark:
                break
            self._add(before)
            line, end, data = rest.partition(b"\n")
            if not end and len(rest) < LONGEST_OWN:
                self._held = mark + rest
                return
            self._save_own(line)
            self._print_some([line])
        # How many bytes at the end may be the beginning of a mark.
        lengths = range(min(len(MARK) - 1, len(data)), 0, -1)
        held = next((n for n in lengths if data.endswith(MARK[:n])), 0)
        self._held = data[len(data) - held :]
        self._add(data[: len(data) - held])

    def last_lines(self) -> list[str]:
        """Return the last lines that the job has written."""
        lines = _LINE_END.split(bytes(self._tail[-_TAIL_BYTES:]))
        texts = [line.decode("utf-8", "replace") for line in lines if line]
        return [text[:LONGEST_LAST_LINE] for text in texts[-LAST_LINES:]]

    @property
    def size(self) -> int:
        """Return the bytes of the whole log."""
        return os.fstat(self._file).st_size

    def packed(self) -> str:
        """Return the log as it travels inside a record: base64 of gzip of UTF-8 text.

        "" if it is too large for that. The job may have removed the file.
        """
        if self.size > LONGEST_PACKED:
            return ""
        text = os.pread(self._file, LONGEST_PACKED, 0).decode("utf-8", "replace")
        return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()

    def close(self) -> None:
        self._let_go()
        os.close(self._file)

    def _let_go(self) -> None:
        """Add what was held: nothing follows it."""
        held, self._held = self._held, b""
        if held.startswith(MARK):
            self._save_own(held[len(MARK) :])
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

    def _save(self, data: bytes) -> None:
        try:
            os.write(self._file, data)
        except OSError as error:
            _, why = MACHINE_ERRORS.get(error.errno or 0, ("", error.strerror))
            self.fault = f"{why}: the log could not be written"

    def _print_some(self, lines: Sequence[bytes]) -> None:
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
                # CloudWatch accepts UTF-8 only.
                text = line[start : start + LONGEST_LINE].decode("utf-8", "replace").encode()
                piece = b"[%s] %s\n" % (self._name, text)
                if out and len(out) + len(piece) > console.WHOLE:
                    self._write(out)
                    out = b""
                out += piece
        if out:
            self._write(out)
