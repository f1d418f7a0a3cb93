"""run.json on S3: create, read and change it (contract 3)."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control.aws.s3 import put_json
from control.aws.waiting import Wait
from control.command import typed
from control.errors import ExplainedError
from control.explain import aws_errors
from control.model import Run, run_prefix

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_MOST_CONFLICTS = 20


def create(s3: S3Client, run: Run) -> Run:
    """Write the run.json of a new run; return the other if somebody has just made the same run."""
    try:
        content = run.as_json()
        put_json(s3, run.bucket, f"{run.prefix}run.json", content, IfNoneMatch="*")
        return run
    except ClientError as error:
        if aws_errors.code_of(error) not in _CONFLICTS:
            raise
        return load(s3, run.bucket, run.app_name, run.run_id)


def load(s3: S3Client, bucket: str, app_name: str, run_id: str) -> Run:
    """Read a run.json."""
    return _get(s3, bucket, f"{run_prefix(app_name, run_id)}run.json")[0]


def current(s3: S3Client, bucket: str, app_name: str) -> Run | None:
    """Return the newest run of this app, ended or not; None if there was none yet."""
    for run_id in sorted(run_ids(s3, bucket, app_name), reverse=True):
        try:
            return load(s3, bucket, app_name, run_id)
        except s3.exceptions.NoSuchKey:
            continue  # somebody has deleted a part of an old run
    return None


def run_ids(s3: S3Client, bucket: str, app_name: str) -> list[str]:
    """Return the RUN_IDs of all runs of an app, the oldest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"runs/{app_name}/", Delimiter="/"
    )
    return [
        entry["Prefix"].split("/")[-2] for page in pages for entry in page.get("CommonPrefixes", [])
    ]


class NoRun(ExplainedError):
    """Nothing was set up with this APP_NAME and bucket."""


def latest(s3: S3Client, bucket: str, app_name: str) -> Run:
    """Return the newest run, ended or not. Raise NoRun if none was set up."""
    run = current(s3, bucket, app_name)
    if run is None or not (run.ended or run.queue_url):
        raise NoRun(f"{app_name} has not been set up.", f"Run: {typed('setup')}")
    return run


def live(s3: S3Client, bucket: str, app_name: str) -> Run:
    """Return the run that is set up now. Raise ExplainedError if there is none."""
    run = latest(s3, bucket, app_name)
    if run.ended:
        raise ExplainedError(
            f"{app_name} has ended.",
            f"Start a new run: {typed('setup')}. To send the jobs that no run has done: "
            f"{typed('submitJob', 'JOBFILE --missing')}",
        )
    return run


def change(
    s3: S3Client,
    run: Run,
    how: Callable[[Run], Run],
    wait: Wait = time.sleep,
) -> Run:
    """Apply `how` to the run.json as it is now, even if others write it at the same time.

    Return the run as written. `how` may be called more than once.
    """
    key = f"{run.prefix}run.json"
    for _ in range(_MOST_CONFLICTS):
        now, etag = _get(s3, run.bucket, key)
        wanted = how(now)
        if wanted == now:
            return now
        try:
            put_json(s3, run.bucket, key, wanted.as_json(), IfMatch=etag)
            return wanted
        except ClientError as error:
            if aws_errors.code_of(error) not in _CONFLICTS:
                raise
        wait(random.uniform(0.05, 0.5))
    raise ExplainedError(
        f"s3://{run.bucket}/{key} is constantly changed by others.",
        "Check who else works on this run (two monitors?), then run the same command again.",
    )


def _get(s3: S3Client, bucket: str, key: str) -> tuple[Run, str]:
    answer = s3.get_object(Bucket=bucket, Key=key)
    return Run.from_json(json.loads(answer["Body"].read())), answer["ETag"]
