"""Check JOB_TIMEOUT, and whether the inputs of the first jobs exist."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from control.checks.findings import Finding, Subject, failed, passed, unknown, warned
from control.records import submissions
from control.text import format_duration

_FIRST_JOBS = 5
_NAMED = 5


def timeout(subject: Subject) -> Iterator[Finding]:
    """Compare JOB_TIMEOUT with MAX_RUN_HOURS."""
    config = subject.config
    hours = config.JOB_TIMEOUT / 3600
    if hours > config.MAX_RUN_HOURS:
        yield failed("job timeout", "timeout", timeout=hours, hours=config.MAX_RUN_HOURS)
    else:
        longest = format_duration(config.JOB_TIMEOUT)
        yield passed("job timeout", f"a job is ended after {longest} (JOB_TIMEOUT)")


def inputs(subject: Subject) -> Iterator[Finding]:
    """Check that the inputs that the first submitted jobs name are in SOURCE_BUCKET.

    Only worker/generic-worker.py knows what a job reads. Values of a name that begins with
    "input" are taken for keys or the beginnings of keys: the template's jobs and those of
    run_batch_general.py use such names. The finding lists the names that were not checked.
    """
    run = subject.run
    if subject.no_run:
        yield unknown("inputs", "needs the records of the run, which cannot be read: see config")
        return
    if run is None or run.ended or not run.submissions:
        yield unknown("inputs", "no jobs have been submitted yet")
        return
    first = list(itertools.islice(submissions.entries(subject.aws.s3, run), _FIRST_JOBS))
    values = [pair for entry in first for pair in _values(entry["body"])]
    named = list(dict.fromkeys(name for name, _ in values))
    inputs = [name for name in named if name.lower().startswith("input")]
    # Outputs do not exist yet.
    others = [name for name in named if not name.lower().startswith(("input", "output"))]
    keys = list(dict.fromkeys(key for name, key in values if name in inputs and key))
    if not keys:
        what = "no value whose name begins with `input` is in the first jobs"
        yield unknown("inputs", f"{what}; not checked: {_some(others)}")
        return
    bucket = subject.config.SOURCE_BUCKET
    absent = [key for key in keys if not _is_there(subject, bucket, key)]
    words = {"named": _some(inputs), "bucket": bucket, "others": _some(others)}
    if absent:
        some = {"absent": f"{len(absent)} of {len(keys)}", "first": absent[0]}
        yield warned("inputs", "no inputs", **words, **some)
    else:
        yield passed(
            "inputs",
            f"what the first jobs name as {words['named']} is in s3://{bucket}: {len(keys)} of "
            f"{len(keys)} there; not checked: {words['others']}",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more or "nothing"


def _values(body: Mapping[str, Any] | str) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of all values of a job's message; "" for one that cannot be a key."""
    message: Mapping[str, Any] = json.loads(body) if isinstance(body, str) else body
    group = message.get("group", {})
    for values in (message, group if isinstance(group, Mapping) else {}):
        for name, value in values.items():
            if values is message and name == "group":
                continue
            yield name, value.removeprefix("/") if isinstance(value, str) else ""


def _is_there(subject: Subject, bucket: str, key: str) -> bool:
    answer = subject.aws.s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return bool(answer.get("KeyCount", 0))
