"""What a run has been given: the parts on S3, and the journal of a submission under way."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control import records
from control.errors import ExplainedError
from control.jobs import Job

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.records import Run


class Ids:
    """A fixed set of job ids in 8 bytes each: a million of them fit where a set would not."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._sorted = array("Q", sorted(ids))

    def __contains__(self, job_id: int) -> bool:
        place = bisect_left(self._sorted, job_id)
        return place < len(self._sorted) and self._sorted[place] == job_id

    def __len__(self) -> int:
        return len(self._sorted)


@dataclass(frozen=True)
class Known:
    """The jobs of a run so far; `submissions` holds the number of those sent more than once."""

    ids: Ids = field(default_factory=Ids)
    submissions: dict[int, int] = field(default_factory=dict)

    def next_submission(self, job_id: int) -> int:
        if job_id not in self.ids:
            return 1
        return self.submissions.get(job_id, 1) + 1


def known(s3: S3Client, run: Run) -> Known:
    """Which jobs this run was given, from its parts on S3."""
    ids = array("Q")
    submissions: dict[int, int] = {}
    for entry in entries(s3, run):
        job_id = int(entry["id"], 16)
        if entry["submission"] == 1:
            ids.append(job_id)
        else:
            submissions[job_id] = max(entry["submission"], submissions.get(job_id, 1))
    return Known(Ids(ids), submissions)


def entries(s3: S3Client, run: Run) -> Iterator[dict[str, Any]]:
    """Every line of every part, in the order of submission, one part in memory at a time."""
    for key in records.list_keys(s3, run.bucket, f"{run.prefix}submitted/"):
        content = s3.get_object(Bucket=run.bucket, Key=key)["Body"].read()
        for line in gzip.decompress(content).splitlines():
            yield json.loads(line)


def without_record(s3: S3Client, run: Run) -> Iterator[str]:
    """The names of the submitted jobs that have no record yet."""
    keys = records.list_keys(s3, run.bucket, f"{run.prefix}records/")
    finished = Ids(int(key.rsplit("/", 1)[-1].split(".")[0], 16) for key in keys)
    for entry in entries(s3, run):
        if entry["submission"] == 1 and int(entry["id"], 16) not in finished:
            yield entry["name"]


class Parts:
    """Writes `submitted/` part by part, after the jobs of a part were sent."""

    def __init__(self, s3: S3Client, run: Run, command: int, part_jobs: int = 10_000) -> None:
        self._s3, self._run, self._command, self._part_jobs = s3, run, command, part_jobs
        self._lines: list[str] = []
        self._again = 0
        self._part = 0

    def add(self, sent: Sequence[tuple[Job, int]]) -> None:
        for job, submission in sent:
            # Neither ids nor safe names hold a character that JSON would escape.
            self._lines.append(
                f'{{"id":"{job.id}","name":"{job.name}","submission":{submission},'
                f'"body":{job.body}}}\n'
            )
            self._again += submission > 1
        if len(self._lines) >= self._part_jobs:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered; a part that fails to be written is kept for the next flush."""
        if not self._lines:
            return
        name = (
            f"{self._command:04d}-{self._part + 1:06d}"
            f"-new{len(self._lines) - self._again}-again{self._again}.jsonl.gz"
        )
        self._s3.put_object(
            Bucket=self._run.bucket,
            Key=f"{self._run.prefix}submitted/{name}",
            Body=gzip.compress("".join(self._lines).encode(), compresslevel=1),
        )
        self._part += 1
        self._lines, self._again = [], 0


class Journal:
    """What a submission is sending, on this computer's disk, until its parts are all on S3.

    A line `+ ids` is written before a batch is sent, `= ids` after SQS took it. Both reach the
    kernel at once, so that a killed submitJob leaves exactly the batches in flight uncertain.
    """

    def __init__(self, folder: Path, job_file: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # A journal for each job file: another one submitted in between must not end it.
        digest = hashlib.sha256(str(job_file.resolve()).encode()).hexdigest()[:12]
        self.path = folder / f"{job_file.stem}-{digest}.journal"
        self._file = self.path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ExplainedError(
                f"Another submitJob of {job_file} is under way on this computer.",
                "Wait until it has finished, then run this command again.",
            ) from None

    def leftovers(self) -> tuple[Ids, Ids]:
        """What a broken-off submission left: the ids SQS took, and those it may have taken."""
        begun, sent = array("Q"), array("Q")
        self._file.seek(0)
        for line in self._file.read().splitlines():
            words = line.split()
            if words and words[0] in (b"+", b"="):
                # A killed process may have cut the last line: its last id is dropped.
                ids = [int(word, 16) for word in words[1:] if len(word) == 16]
                (begun if words[0] == b"+" else sent).extend(ids)
        taken = Ids(sent)
        return taken, Ids(job_id for job_id in begun if job_id not in taken)

    def sending(self, batch: Sequence[tuple[Job, int]]) -> None:
        self._write("+", batch)

    def sent(self, batch: Sequence[tuple[Job, int]]) -> None:
        self._write("=", batch)

    def _write(self, sign: str, batch: Sequence[tuple[Job, int]]) -> None:
        line = " ".join([sign, *[job.id for job, _ in batch]]) + "\n"
        self._file.write(line.encode())

    def finish(self) -> None:
        """Everything is on S3: the journal is no longer needed."""
        self._file.truncate(0)

    def close(self) -> None:
        self._file.close()
