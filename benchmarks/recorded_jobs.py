"""Made-up records, attempts and logs of a run's jobs, derived from each job's number.

Memory holds only a job's id, so a million jobs are ready within seconds; the content of an object
is made on request, and is the same each time.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import random
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from statistics import NormalDist

APP_NAME = "Recorded"
BUCKET = "bucket"
PART_JOBS = 10_000
ALLOWED = 3
MEAN_SECONDS = 240.0
MEMORY_MB = 15000
# Between setup and the first job machines start.
LEAD_SECONDS = 600.0
SLOTS_A_MACHINE = 4
_SHARED = (
    '"input":"projects/screen/images","output":"projects/screen/results",'
    '"pipeline":"projects/screen/analysis.cppipe"'
)
SILENT = (
    "killed",
    "ended silently 3 times "
    "(the machine was lost, its memory was full, or it was cut off from AWS)",
)
_LENGTHS = NormalDist()


@dataclass(frozen=True)
class Shape:
    """The number of jobs in the run, and of those that are not done at the first attempt.

    `waiting` have no record and no attempt yet; `retrying` have one failed attempt and no record;
    `recovered` are done after a failed attempt; `retried` failed for good and were then done by
    their second submission. The run is over if none waits or retries. `began` is the time of its
    setup, `hours` the time from the first job to the last.
    """

    jobs: int
    failed: int = 0
    skipped: int = 0
    waiting: int = 0
    retrying: int = 0
    recovered: int = 0
    retried: int = 0
    began: float = 1_767_225_600.0
    hours: float = 10.0
    seed: int = 1

    @property
    def over(self) -> bool:
        return not (self.waiting or self.retrying)

    @property
    def run_id(self) -> str:
        return datetime.fromtimestamp(self.began, timezone.utc).strftime("%Y%m%dT%H%M%SZ")

    @property
    def prefix(self) -> str:
        return f"runs/{APP_NAME}/{self.run_id}/"

    @property
    def finished(self) -> int:
        return self.jobs - self.waiting - self.retrying

    @property
    def machines(self) -> int:
        """Return the number of machines with which the jobs fit into the hours."""
        return max(1, round(self.finished * MEAN_SECONDS / (self.hours * 3600) / SLOTS_A_MACHINE))

    @property
    def ended(self) -> float:
        """Return the time of the last record, in seconds since the epoch."""
        return self.began + LEAD_SECONDS + self.hours * 3600


class Jobs:
    """The jobs of a run: `ids` in order, and `numbers` in the order of the ids."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        both = sorted(
            int.from_bytes(hashlib.sha256(body(number).encode()).digest()[:8], "big") << 24 | number
            for number in range(shape.jobs)
        )
        self.ids = array("Q", (one >> 24 for one in both))
        self.numbers = array("L", (one & 0xFFFFFF for one in both))
        self._special = self._choose()

    def _choose(self) -> dict[int, str]:
        """Choose the jobs that are not simply done, and do not wait at the end of the queue."""
        shape = self.shape
        kinds = ("failed", "skipped", "retrying", "recovered", "retried")
        chosen = [kind for kind in kinds for _ in range(getattr(shape, kind))]
        begun = range(shape.jobs - shape.waiting)
        numbers = random.Random(shape.seed).sample(begun, len(chosen))
        return dict(zip(numbers, chosen, strict=True))

    def kind(self, number: int) -> str:
        """Return a job's fate: one of the words of Shape, or 'done'."""
        if number >= self.shape.jobs - self.shape.waiting:
            return "waiting"
        return self._special.get(number, "done")

    def place(self, job_id: int) -> int:
        """Return the position in `ids` of the first job with this id or a higher one."""
        return bisect_left(self.ids, job_id)

    def number(self, job_id: int) -> int | None:
        place = self.place(job_id)
        there = place < len(self.ids) and self.ids[place] == job_id
        return self.numbers[place] if there else None

    def record_names(self, place: int) -> tuple[str, ...]:
        """Return the names of the records of the job at a position."""
        kind = self.kind(self.numbers[place])
        if kind in ("waiting", "retrying"):
            return ()
        if kind == "skipped":
            return ("skipped.json",)
        if kind in ("failed", "retried"):
            cause = failure_of(self.numbers[place], self.ids[place], kind)[0]
            # In the order of keys.
            both = (f"{cause}.failed.json", *(("done.json",) if kind == "retried" else ()))
            return tuple(sorted(both))
        return ("done.json",)

    def attempt_names(self, place: int) -> tuple[str, ...]:
        """Return the names of its failed attempts: submission.receive.cause.state."""
        number = self.numbers[place]
        kind = self.kind(number)
        if kind in ("retrying", "recovered"):
            return ("1.1.exit_code.failed.json",)
        if kind not in ("failed", "retried"):
            return ()
        times = tries(number, self.ids[place])
        cause = failure_of(number, self.ids[place], kind)[0]
        return tuple(f"1.{receive}.{cause}.failed.json" for receive in range(1, times + 1))

    def ended(self, number: int) -> float:
        """Return the time of its record: jobs end one after the other, with some disorder."""
        shape = self.shape
        share = (number + 1) / max(1, shape.jobs - shape.waiting)
        first = shape.began + LEAD_SECONDS
        disorder = number * 7919 % 1000 / 1000 * min(MEAN_SECONDS, shape.hours * 360)
        return max(first, first + share * shape.hours * 3600 - disorder)

    def content(
        self,
        number: int,
        job_id: int,
        state: str,
        submission: int,
        receive: int,
        failure: tuple[str, str] = ("", ""),
        *,
        is_attempt: bool = False,
    ) -> bytes:
        """Return a record or an attempt as a worker writes it, with its log in the last of them."""
        cause, reason = failure
        ran = state != "skipped" and failure != SILENT
        length = seconds(job_id) if ran else 0.2
        ended, name = self.ended(number), name_of(number)
        attempt = ALLOWED if failure == SILENT else receive
        done = state == "done"
        log_key = f"attempts/{job_id:016x}.{submission}.{receive}.{cause}.failed.json"
        if done:
            log_key = f"records/{job_id:016x}.done.json"
        lines = log_lines(name, reason, attempt) if ran else []
        has_log = ran and (done or is_attempt)
        fields = {
            "job_id": f"{job_id:016x}",
            "job_name": name,
            "run_id": self.shape.run_id,
            "submission": submission,
            "receive": receive,
            "attempt": attempt,
            "attempts_allowed": ALLOWED,
            "cause": "already_done" if state == "skipped" else cause,
            "reason": "its outputs exist already" if state == "skipped" else reason,
            "exit_code": 3 if cause == "exit_code" else None,
            "signal": "SIGKILL" if cause == "out_of_memory" else None,
            "started": _utc(ended - length),
            "ended": _utc(ended),
            "seconds": round(length, 3),
            "download_seconds": round(length * 0.08, 3) if ran else 0.0,
            "upload_seconds": round(length * 0.02, 3) if done else 0.0,
            "cpu_seconds": round(length * 0.85, 3) if ran else 0.0,
            "peak_memory_mb": round(1400 + 500 * (job_id % 1009 / 1009), 1) if ran else 0.0,
            "peak_disk_mb": round(120 + number % 40 / 3, 3) if ran else 0.0,
            "machine": f"i-{number % self.shape.machines:017x}",
            "machine_type": "m5.xlarge",
            "output_prefix": f"projects/screen/results/{name}" if done else "",
            "output_files": 4 if done else 0,
            "output_bytes": 81_000 + number % 977 if done else 0,
            "last_lines": lines[1:-1][-30:],
            "log_key": self.shape.prefix + log_key if ran else "",
            "log": _packed(lines) if has_log else "",
            "state": state,
        }
        return json.dumps(fields, ensure_ascii=False, indent=1).encode()

    def part_names(self) -> Iterator[str]:
        """Yield the parts of `submitted/`: one command sent all jobs, another the retried ones."""
        for part, start in enumerate(range(0, self.shape.jobs, PART_JOBS), start=1):
            count = min(PART_JOBS, self.shape.jobs - start)
            yield f"0001-{part:06d}-new{count}-again0.jsonl.gz"
        if self.shape.retried:
            yield f"0002-000001-new0-again{self.shape.retried}.jsonl.gz"

    def part(self, name: str) -> bytes:
        """Return the content of a part."""
        command, part, _ = name.split("-", 2)
        numbers: Iterator[int] = iter(range(self.shape.jobs))
        if command == "0001":
            first = (int(part) - 1) * PART_JOBS
            numbers = iter(range(first, min(first + PART_JOBS, self.shape.jobs)))
        else:
            numbers = iter(sorted(n for n, kind in self._special.items() if kind == "retried"))
        lines = (_line(number, int(command)) for number in numbers)
        return gzip.compress("".join(lines).encode(), compresslevel=1)


def name_of(number: int) -> str:
    return f"P{number // 384:04d}-W{number % 384:03d}"


def body(number: int) -> str:
    """Return the canonical body of a job."""
    return f'{{"group":{{"plate":"P{number // 384:04d}","well":"W{number % 384:03d}"}},{_SHARED}}}'


def _line(number: int, submission: int) -> str:
    text = body(number)
    job_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    return (
        f'{{"id":"{job_id}","name":"{name_of(number)}","submission":{submission},"body":{text}}}\n'
    )


def seconds(job_id: int) -> float:
    """Return how long a job took: most about four minutes, a few much longer."""
    draw = (job_id % 10_007 + 0.5) / 10_007
    return MEAN_SECONDS / 1.133 * math.exp(0.5 * _LENGTHS.inv_cdf(draw))


def failure_of(number: int, job_id: int, kind: str = "failed") -> tuple[str, str]:
    """Return (cause, reason) of a job's failed attempts: six kinds, some with names of this job.

    A job that succeeded in the end, or still may, failed for a temporary reason.
    """
    draw = job_id % 100
    if kind in ("recovered", "retrying") or draw < 45:
        return "exit_code", "cellprofiler exited with code 3"
    name = name_of(number)
    if draw < 70:
        key = f"projects/screen/images/{name.replace('-', '/')}.tif"
        return "missing_input", f"s3://{BUCKET}/{key} does not exist"
    if draw < 80:
        how = f"the kernel ended cellprofiler (limit 15728 MB); MEMORY is {MEMORY_MB}"
        return "out_of_memory", f"out of memory: {how}"
    if draw < 88:
        return "timeout", "took longer than JOB_TIMEOUT (21600 s)"
    if draw < 97:
        why = f"could not convert string to float: 'n/a' in {name}.csv, line {job_id % 2003}"
        return "exception", f"run_job raised ValueError: {why}"
    return SILENT


def tries(number: int, job_id: int) -> int:
    """Return the number of failed attempts after which it failed for good; 0 for silent deaths."""
    failure = failure_of(number, job_id)
    if failure == SILENT:
        return 0
    return 1 if failure[0] == "missing_input" else ALLOWED


def given_up_at(number: int, job_id: int) -> int:
    """Return the receive that its failed record names: that of its last attempt."""
    return tries(number, job_id) or ALLOWED


def log_lines(name: str, reason: str, attempt: int) -> list[str]:
    """Return the lines of a job's log."""
    lines = [f"attempt 1.{attempt} ({attempt} of {ALLOWED}) on i-0123456789abcdef0 (m5.xlarge)"]
    lines += [f"module {step} of 60: {name} image {step * 7 % 11}" for step in range(60)]
    if not reason:
        where = f"s3://{BUCKET}/projects/screen/results/{name}/"
        return [*lines, f"run_job succeeded after 9.0 s; uploading 4 files, 0.081 MB, to {where}"]
    return [*lines, "Traceback (most recent call last):", f"FAILED {name}: {reason}"]


def _packed(lines: list[str]) -> str:
    text = "".join(f"{line}\n" for line in lines).encode()
    return base64.b64encode(gzip.compress(text, compresslevel=1, mtime=0)).decode()


def _utc(moment: float) -> str:
    text = datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text[:-3]}Z"
