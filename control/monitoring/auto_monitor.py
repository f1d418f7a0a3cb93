"""The auto-monitor: the monitor's step in AWS Lambda, called by a schedule."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from control.aws import iam, lambda_function
from control.aws.s3 import put_json
from control.aws.scheduler import delete_schedule, ensure_schedule, schedule_exists, schedule_name
from control.aws.session import AWS
from control.explain import aws_errors
from control.model import utc
from control.monitoring.pace import Pace
from control.monitoring.step import step
from control.records import store

if TYPE_CHECKING:
    from control.model import JobCounts, Run

# A Lambda that was called a minute ago is warm: it reuses its count of many records.
_COUNTED: dict[str, tuple[JobCounts, float]] = {}


def handler(
    event: Mapping[str, str], context: object, clock: Callable[[], float] = time.time
) -> dict[str, Any]:
    """Take a step; Lambda calls this with the run's key: bucket, app_name, run_id."""
    aws = AWS(boto3.Session())
    try:
        run = store.load(aws.s3, event["bucket"], event["app_name"], event["run_id"])
    except aws.s3.exceptions.NoSuchKey:
        # Somebody deleted the run's records: there is nothing left to watch.
        delete_schedule(aws.scheduler, schedule_name(event["app_name"], event["run_id"]))
        return {"ended": True}
    try:
        report = _step(aws, run, clock())
    except (ClientError, BotoCoreError) as error:
        _report(aws, run, clock(), {"lines": [aws_errors.summary(error)]})
        raise
    _report(aws, run, clock(), report)
    print(json.dumps({**event, **report}))
    return report


def _step(aws: AWS, run: Run, now: float) -> dict[str, Any]:
    counted, due = _COUNTED.get(run.prefix, (None, 0.0))
    pace = Pace()
    taken = step(aws, run, now, pace, counted if now < due else None)
    jobs = taken.seen.jobs
    if jobs is not counted:
        _COUNTED[run.prefix] = jobs, now + pace.listing * jobs.finished / 1000
    if taken.ended:
        # By its name too: a run.json that an interrupted step left may not name it.
        delete_schedule(aws.scheduler, schedule_name(run.app_name, run.run_id))
    return {"lines": list(taken.lines), "ended": taken.ended, "unfinished": taken.unfinished}


def _report(aws: AWS, run: Run, now: float, report: dict[str, Any]) -> None:
    content = {"at": utc(now), **report}
    put_json(aws.s3, run.bucket, f"{run.prefix}auto-monitor.json", content)


def last_report(aws: AWS, run: Run) -> dict[str, Any]:
    """Return the report of the auto-monitor's last step; {} before its first."""
    try:
        answer = aws.s3.get_object(Bucket=run.bucket, Key=f"{run.prefix}auto-monitor.json")
    except aws.s3.exceptions.NoSuchKey:
        return {}
    report: dict[str, Any] = json.loads(answer["Body"].read())
    return report


def find(aws: AWS, run: Run) -> tuple[str, bool]:
    """Return (the ARN of the function, whether it has this version), before money is spent.

    ("", True) if AUTO_MONITOR is off. Raises ExplainedError if setupAWS has not made it.
    """
    if not run.config.AUTO_MONITOR:
        return "", True
    return lambda_function.arn(aws.functions, lambda_function.zipped())


def begin(aws: AWS, run: Run, function_arn: str) -> Run:
    """Have the run's auto-monitor called every minute, or no longer if AUTO_MONITOR is off.

    run.json gets the schedule's name before AWS creates it, so that stop can remove it.
    """
    if not function_arn:
        return dataclasses.replace(run, schedule="") if end(aws, run) else run
    role_arn = iam.role_arn(aws.iam, iam.SCHEDULER_ROLE)
    name = schedule_name(run.app_name, run.run_id)
    run = store.change(aws.s3, run, lambda r: dataclasses.replace(r, schedule=name))
    machines_end = max(entry.valid_until for entry in run.fleets)
    ensure_schedule(aws.scheduler, run, function_arn, role_arn, machines_end)
    return run


def watches(aws: AWS, run: Run) -> bool:
    """Tell whether the auto-monitor is called for this run: AWS removes the schedule at its end."""
    return bool(run.schedule) and schedule_exists(aws.scheduler, run.schedule)


def end(aws: AWS, run: Run) -> bool:
    """Have it called no longer; return whether it was."""
    if not run.schedule:
        return False
    delete_schedule(aws.scheduler, run.schedule)
    store.change(aws.s3, run, lambda r: dataclasses.replace(r, schedule=""))
    return True
