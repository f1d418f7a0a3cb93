"""The jobs that failed for good: which, and why."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from control import records, screen
from control.errors import ExplainedError
from control.words import several

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.records import JobCounts, Run

_SHOWN = 5


def failed(s3: S3Client, run: Run) -> Iterator[dict[str, Any]]:
    """The records of the failed jobs, each read when it is asked for."""
    last = ""
    for key in records.list_keys(s3, run.bucket, f"{run.prefix}records/"):
        job, state = key.rsplit("/", 1)[-1].split(".")[:2]
        # Keys are in order, so a done record, which beats a failed one, came just before it.
        if state == "done":
            last = job
        elif state == "failed" and job != last:
            yield json.loads(s3.get_object(Bucket=run.bucket, Key=key)["Body"].read())


def raise_for_failed(s3: S3Client, run: Run, counts: JobCounts, logs: str, again: str) -> None:
    """Show why the first jobs failed and raise ExplainedError, if any did.

    `logs` is where their logs lie, `again` how to run them again.
    """
    if not counts.failed:
        return
    for record in itertools.islice(failed(s3, run), _SHOWN):
        log = record["log_key"].rsplit("/", 1)[-1]
        screen.say(f"Failed: {record['job_name']}: {record['reason']} (log: {log})")
    if counts.failed > _SHOWN:
        screen.say(f"... and {counts.failed - _SHOWN:,} more.")
    raise ExplainedError(
        f"{counts.failed:,} of {several(counts.submitted, 'job')} failed.",
        f"Read why in their logs, in {logs}; mend it; then {again}",
    )
