"""What was submitted: the parts of `submitted/`."""

from __future__ import annotations

import gzip
import json
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from control.aws.s3 import list_keys
from control.user_files.job import ID_DIGITS, Job, name_hash, submitted_as

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run

_PART = re.compile(r"-new(\d+)-again(\d+)\.jsonl\.gz$")
_LINE_START = b'{"id":"'


class Ids:
    """A fixed set of job ids in 8 bytes each: a million of them fit where a set would not."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._sorted = array("Q", sorted(ids))

    def __contains__(self, job_id: int) -> bool:
        place = bisect_left(self._sorted, job_id)
        return place < len(self._sorted) and self._sorted[place] == job_id

    def __len__(self) -> int:
        return len(self._sorted)


class Submissions:
    """The highest submission number of each job, in 10 bytes a job."""

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        # One number for both sorts a million pairs in a third of the memory of tuples.
        ordered = sorted(job_id << 16 | min(number, 0xFFFF) for job_id, number in pairs)
        self._ids = array("Q", (both >> 16 for both in ordered))
        self._numbers = array("H", (both & 0xFFFF for both in ordered))

    def __getitem__(self, job_id: int) -> int:
        """The number of the last submission of this job, 0 if there was none."""
        place = bisect_right(self._ids, job_id) - 1
        return self._numbers[place] if place >= 0 and self._ids[place] == job_id else 0

    def beyond(self, other: Submissions) -> int:
        """How many jobs have a later submission here than in `other`."""
        return sum(
            number > other[job_id] and number == self[job_id]
            for job_id, number in zip(self._ids, self._numbers, strict=True)
        )


def parts(s3: S3Client, run: Run) -> Iterator[str]:
    """Yield the keys of the parts of `submitted/` in the order of submission."""
    for key in list_keys(s3, run.bucket, f"{run.prefix}submitted/"):
        if _PART.search(key):
            yield key


def part_sizes(key: str) -> tuple[int, int]:
    """Return (jobs new in this run, jobs sent again) of a part, from the name of its key."""
    new, again = _PART.findall(key)[0]
    return int(new), int(again)


def count(s3: S3Client, run: Run) -> int:
    """Return how many different jobs were submitted to this run, from listings alone."""
    return sum(part_sizes(key)[0] for key in parts(s3, run))


class Known(NamedTuple):
    """What a run was given so far: jobs by id, and the hashes of their names."""

    submissions: Submissions
    names: Ids


def known(s3: S3Client, run: Run, advance: Callable[[int], None] = lambda jobs: None) -> Known:
    """Which jobs this run was given, from its parts on S3; `advance` hears of every 1,000."""
    names = array("Q")

    def pairs() -> Iterator[tuple[int, int]]:
        for number, entry in enumerate(entries(s3, run), start=1):
            if number % 1000 == 0:
                advance(1000)
            names.append(name_hash(entry["name"]))
            yield int(entry["id"], 16), entry["submission"]

    return Known(Submissions(pairs()), Ids(names))


def entries(s3: S3Client, run: Run) -> Iterator[dict[str, Any]]:
    """Every line of every part, in the order of submission, one part in memory at a time."""
    for key in parts(s3, run):
        for line in part(s3, run, key).splitlines():
            yield json.loads(line)


def part(s3: S3Client, run: Run, key: str) -> bytes:
    """The lines of one part."""
    return gzip.decompress(s3.get_object(Bucket=run.bucket, Key=key)["Body"].read())


def last_of(s3: S3Client, run: Run, wanted: Callable[[int], bool]) -> Iterator[tuple[Job, int]]:
    """The wanted jobs as they were submitted last, with the number of that submission."""
    last = Submissions((int(e["id"], 16), e["submission"]) for e in _of(s3, run, wanted))
    seen: set[int] = set()
    for entry in _of(s3, run, wanted):
        job_id = int(entry["id"], 16)
        if entry["submission"] == last[job_id] and job_id not in seen:
            seen.add(job_id)
            job = submitted_as(entry["id"], entry["name"], entry["body"])
            yield job, entry["submission"]


def _of(s3: S3Client, run: Run, wanted: Callable[[int], bool]) -> Iterator[dict[str, Any]]:
    """The lines about these jobs. Of a million lines the others are not worth being parsed."""
    begin, end = len(_LINE_START), len(_LINE_START) + ID_DIGITS
    for key in parts(s3, run):
        for line in part(s3, run, key).splitlines():
            if line.startswith(_LINE_START) and not wanted(int(line[begin:end], 16)):
                continue
            entry = json.loads(line)
            if wanted(int(entry["id"], 16)):
                yield entry


def without_record(s3: S3Client, run: Run, recorded: Ids) -> Iterator[str]:
    """Yield the names of the submitted jobs that are not among the `recorded` ones."""
    for entry in entries(s3, run):
        if entry["submission"] == 1 and int(entry["id"], 16) not in recorded:
            yield entry["name"]


class Parts:
    """Writes `submitted/` part by part, after the jobs of a part were sent."""

    def __init__(
        self,
        s3: S3Client,
        run: Run,
        command: int,
        part_jobs: int = 10_000,
        part_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._s3, self._run, self._command = s3, run, command
        self._part_jobs, self._part_bytes = part_jobs, part_bytes
        self._lines: list[str] = []
        self._size = self._again = self._part = 0

    def add(self, sent: Sequence[tuple[Job, int]]) -> None:
        for job, submission in sent:
            # Neither ids nor safe names hold a character that JSON would escape.
            line = (
                f'{{"id":"{job.id}","name":"{job.name}","submission":{submission},'
                f'"body":{job.body}}}\n'
            )
            self._lines.append(line)
            self._size += len(line)
            self._again += submission > 1
        if len(self._lines) >= self._part_jobs or self._size >= self._part_bytes:
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
        self._lines, self._size, self._again = [], 0, 0
