"""Jobs that were submitted to a run: the parts of `submitted/`."""

from __future__ import annotations

import gzip
import json
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from control.aws.s3 import Entry, list_entries
from control.records.job_objects import in_parallel
from control.user_files.job import ID_DIGITS, name_hash, submitted_as

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run
    from control.records.sending import Pair

# A part is written before its jobs are sent: after a kill, at most these jobs are sent twice.
_PART_JOBS = 1000
_PART_BYTES = 16 * 1024 * 1024
_READ_AHEAD = 8
_PART = re.compile(r"/(\d+)-(\d+)-new(\d+)-again(\d+)\.jsonl\.gz$")
_LINE_START = b'{"id":"'


class PartKey(NamedTuple):
    """The parts of a part's key; `new` and `again`: its jobs new in this run, and sent again."""

    command: int
    number: int
    new: int
    again: int


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
        """Return the number of the last submission of this job, 0 if there was none."""
        place = bisect_right(self._ids, job_id) - 1
        return self._numbers[place] if place >= 0 and self._ids[place] == job_id else 0


class Known(NamedTuple):
    """Jobs submitted to a run so far: by id, and the hashes of their names.

    `sent_again` are those that an --again which did not finish has sent again.
    """

    submissions: Submissions
    names: Ids
    sent_again: Ids


def parts(s3: S3Client, run: Run) -> Iterator[str]:
    """Yield the keys of the parts of `submitted/` in the order of submission."""
    return (entry.key for entry in _parts(s3, run))


def _parts(s3: S3Client, run: Run) -> Iterator[Entry]:
    for entry in list_entries(s3, run.bucket, f"{run.prefix}submitted/"):
        if _PART.search(entry.key):
            yield entry


def parse_part(key: str) -> PartKey:
    """Return the parts of a part's key."""
    return PartKey(*map(int, _PART.findall(key)[0]))


def count(s3: S3Client, run: Run) -> int:
    """Return how many different jobs were submitted to this run, from listings alone."""
    return sum(parse_part(key).new for key in parts(s3, run))


def known(s3: S3Client, run: Run, advance: Callable[[int], None] = lambda jobs: None) -> Known:
    """Read which jobs this run has from its parts; `advance` is called with the jobs of each."""
    names, again = array("Q"), array("Q")

    def pairs() -> Iterator[tuple[int, int]]:
        for key, lines in _read_parts(s3, run):
            unfinished = parse_part(key).command in run.sending_again
            for line in lines:
                entry = json.loads(line)
                job_id, number = int(entry["id"], 16), entry["submission"]
                names.append(name_hash(entry["name"]))
                if unfinished and number > 1:
                    again.append(job_id)
                yield job_id, number
            advance(len(lines))

    submissions = Submissions(pairs())
    return Known(submissions, Ids(names), Ids(again))


def entries(s3: S3Client, run: Run) -> Iterator[dict[str, Any]]:
    """Yield every line of every part in the order of submission, some parts in memory at a time."""
    for _, lines in _read_parts(s3, run):
        yield from map(json.loads, lines)


def _read_parts(
    s3: S3Client, run: Run, *, newest_first: bool = False
) -> Iterator[tuple[str, list[bytes]]]:
    keys = sorted(parts(s3, run), reverse=newest_first)
    found = in_parallel(lambda key: part(s3, run, key).splitlines(), keys, _READ_AHEAD)
    return zip(keys, found, strict=True)


def part(s3: S3Client, run: Run, key: str) -> bytes:
    """Return the lines of one part."""
    return gzip.decompress(s3.get_object(Bucket=run.bucket, Key=key)["Body"].read())


def jobs_of_part(s3: S3Client, run: Run, key: str) -> list[Pair]:
    """Return the jobs of one part with the numbers of their submissions."""
    return [_pair(json.loads(line)) for line in part(s3, run, key).splitlines()]


def _pair(entry: dict[str, Any]) -> Pair:
    return submitted_as(entry["id"], entry["name"], entry["body"]), entry["submission"]


def last_of(s3: S3Client, run: Run, wanted: Callable[[int], bool]) -> Iterator[Pair]:
    """Yield the wanted jobs as they were submitted last, with the number of that submission."""
    seen: set[int] = set()
    for entry in _of(s3, run, wanted):
        job_id = int(entry["id"], 16)
        if job_id not in seen:
            seen.add(job_id)
            yield _pair(entry)


def _of(s3: S3Client, run: Run, wanted: Callable[[int], bool]) -> Iterator[dict[str, Any]]:
    """Yield the lines about these jobs, the newest part first.

    Parsing all of a million lines would take long.
    """
    begin, end = len(_LINE_START), len(_LINE_START) + ID_DIGITS
    for _, lines in _read_parts(s3, run, newest_first=True):
        for line in lines:
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


def split(jobs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """Yield jobs in parts of at most 1,000 jobs and 16 MiB."""
    part: list[Pair] = []
    size = 0
    for pair in jobs:
        part.append(pair)
        size += len(pair[0].body)
        if len(part) >= _PART_JOBS or size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def write_part(s3: S3Client, run: Run, command: int, number: int, part: Sequence[Pair]) -> str:
    """Write part `number` of a submit command and return its key."""
    again = sum(submission > 1 for _, submission in part)
    name = f"{command:04d}-{number:06d}-new{len(part) - again}-again{again}.jsonl.gz"
    key = f"{run.prefix}submitted/{name}"
    # Neither ids nor safe names hold a character that JSON would escape.
    lines = (
        f'{{"id":"{job.id}","name":"{job.name}","submission":{submission},"body":{job.body}}}\n'
        for job, submission in part
    )
    body = gzip.compress("".join(lines).encode(), compresslevel=1)
    s3.put_object(Bucket=run.bucket, Key=key, Body=body)
    return key


def unconfirmed(s3: S3Client, run: Run) -> list[Entry]:
    """Return the parts whose jobs may not be sent.

    A command sends a part before it writes the next one, so that is at most the last part of a
    command that did not finish.
    """
    last: dict[int, Entry] = {}
    for entry in _parts(s3, run) if run.sending else ():
        named = parse_part(entry.key)
        if named.number > run.sending.get(str(named.command), named.number):
            last[named.command] = entry
    return list(last.values())
