"""What an interrupted submitJob may have sent without recording it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from control.errors import ExplainedError
from control.records.submissions import Submissions
from control.user_files.job import Job


class Journal:
    """The journal of one job file, beside those of the same run's other job files.

    One submission of a run at a time has it open: each must see what the others left. Raises
    ExplainedError if another has.
    """

    def __init__(self, folder: Path, job_file: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise ExplainedError(
                "Another submitJob for this run is under way on this computer.",
                "Wait until it has finished, then run this command again.",
            ) from None
        digest = hashlib.sha256(str(job_file.resolve()).encode()).hexdigest()[:12]
        self.path = folder / f"{job_file.stem}-{digest}.journal"
        self._file = self.path.open("a+b", buffering=0)
        self._end_cut_line()

    def leftovers(self) -> tuple[Submissions, Submissions]:
        """What broken-off submissions left: what SQS took, and what it may have taken."""
        under_way: Counter[tuple[int, int]] = Counter()
        taken = Submissions(_read(sorted(self.path.parent.glob("*.journal")), under_way))
        return taken, Submissions(under_way)

    def sending(self, batch: Sequence[tuple[Job, int]]) -> None:
        self._write("+", batch)

    def sent(self, batch: Sequence[tuple[Job, int]]) -> None:
        self._write("=", batch)

    def refused(self, batch: Sequence[tuple[Job, int]]) -> None:
        self._write("-", batch)

    def finish(self) -> None:
        """Everything is on S3: what this journal held is no longer needed."""
        self._file.truncate(0)

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def _write(self, sign: str, batch: Sequence[tuple[Job, int]]) -> None:
        if not batch:
            return
        words = [job.id if number == 1 else f"{job.id}.{number}" for job, number in batch]
        line = " ".join([sign, *words, "\n"]).encode()
        if self._file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def _end_cut_line(self) -> None:
        """A full disk may have cut the last line: what comes next must not be joined to it."""
        size = self._file.seek(0, os.SEEK_END)
        if size:
            self._file.seek(size - 1)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")


def _read(paths: Sequence[Path], under_way: Counter[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What SQS took; `under_way` is what was begun and has neither been taken nor refused."""
    for path in paths:
        with path.open("rb") as lines:
            for line in lines:
                yield from _read_line(line, under_way)


def _read_line(line: bytes, under_way: Counter[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    sign, *words = line.rstrip(b"\n").split(b" ")
    for word in words[:-1]:  # the last is empty, or cut
        job_id, _, number = word.partition(b".")
        submission = int(job_id, 16), int(number or 1)
        if sign == b"+":
            under_way[submission] += 1
        elif sign == b"-":
            under_way -= Counter([submission])
        else:
            under_way.pop(submission, None)
            yield submission
