"""check: how long a job may run, and whether the first jobs' inputs are there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from control.checks.findings import Finding, Subject, failed, passed, unknown, warned
from control.runs import submitted

_FIRST_JOBS = 5


def timeout(subject: Subject) -> Iterator[Finding]:
    """JOB_TIMEOUT against MAX_RUN_HOURS."""
    config = subject.config
    hours = config.JOB_TIMEOUT / 3600
    if hours > config.MAX_RUN_HOURS:
        yield failed("job timeout", "timeout", timeout=hours, hours=config.MAX_RUN_HOURS)
    else:
        yield passed("job timeout", f"a job is ended after {hours:g} hours (JOB_TIMEOUT)")


def inputs(subject: Subject) -> Iterator[Finding]:
    """Whether what the first submitted jobs name as their input is in SOURCE_BUCKET.

    What a job reads, only worker/generic-worker.py knows. Values of a name that begins with
    "input" are taken for keys or the beginnings of keys: so the template's jobs and those of
    run_batch_general.py name them.
    """
    run = subject.run
    if subject.no_run:
        yield unknown("inputs", subject.no_run)
        return
    if run is None or run.ended or not run.submissions:
        yield unknown("inputs", "no jobs have been submitted yet")
        return
    first = list(itertools.islice(submitted.entries(subject.aws.s3, run), _FIRST_JOBS))
    named = dict.fromkeys(one for entry in first for one in named_inputs(entry["body"]))
    if not named:
        yield unknown(
            "inputs",
            'no value of the first jobs has a name that begins with "input": what they read, only '
            "worker/generic-worker.py knows",
        )
        return
    bucket = subject.config.SOURCE_BUCKET
    absent = [key for key in named if not _is_there(subject, bucket, key)]
    if absent:
        words = {"absent": f"{len(absent)} of {len(named)}", "bucket": bucket, "first": absent[0]}
        yield warned("inputs", "no inputs", **words)
    else:
        yield passed("inputs", f"the first jobs' are in s3://{bucket}: {', '.join(named)}")


def named_inputs(body: Mapping[str, Any] | str) -> Iterator[str]:
    """The values of a job's message that are keys, or beginnings of keys, by their names."""
    message: Mapping[str, Any] = json.loads(body) if isinstance(body, str) else body
    group = message.get("group", {})
    for values in (message, group if isinstance(group, Mapping) else {}):
        for name, value in values.items():
            if name.lower().startswith("input") and isinstance(value, str) and value:
                yield value.removeprefix("/")


def _is_there(subject: Subject, bucket: str, key: str) -> bool:
    answer = subject.aws.s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return bool(answer.get("KeyCount", 0))
