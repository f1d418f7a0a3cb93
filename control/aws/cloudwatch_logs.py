"""CloudWatch Logs: the log group of a run, and the lines of its containers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from control.aws import tags
from control.aws.waiting import Wait

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

    from control.model import Run

# The logs of every job are on S3 for good; CloudWatch, which costs more, keeps them for two months.
RETENTION_DAYS = 60
_PAUSE = 0.25
# A worker's line while it accepts no jobs (contract.md); a job's line begins with its name instead.
_REFUSAL = "accepts no jobs"
_REFUSAL_LINE = re.compile(rf"worker \d+: {_REFUSAL} \[(\w+)\]: (.*)")


class Event(NamedTuple):
    """A line of a job in CloudWatch; `time` is when it was written, in seconds since 1970."""

    id: str
    time: float
    text: str


def last_lines(logs: CloudWatchLogsClient, group: str, most: int) -> list[str]:
    """Return the last lines of the container that wrote last; none if there is no log."""
    try:
        streams = logs.describe_log_streams(
            logGroupName=group, orderBy="LastEventTime", descending=True, limit=1
        )["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    if not streams:
        return []
    answer = logs.get_log_events(
        logGroupName=group, logStreamName=streams[0]["logStreamName"], limit=most
    )
    return [event["message"].rstrip() for event in answer["events"]]


def of_job(
    logs: CloudWatchLogsClient,
    group: str,
    job_name: str,
    since: float,
    wait: Wait = time.sleep,
) -> Iterator[Event]:
    """Yield the lines of a job in all containers, since a time in seconds since 1970."""
    own = f"[{job_name}] "
    for event in _filtered(logs, group, own.strip(), since, wait):
        if event.text.startswith(own):
            yield event._replace(text=event.text[len(own) :])


def refusals(
    logs: CloudWatchLogsClient,
    group: str,
    app_name: str,
    since: float,
    wait: Wait = time.sleep,
) -> tuple[tuple[str, str], ...]:
    """Return why workers of an app have accepted no jobs since a time in seconds since 1970.

    As (cause, a word of contract.md; reason), the newest last.
    """
    # The group may be shared; the awslogs driver begins a stream's name with the app's.
    events = _filtered(logs, group, _REFUSAL, since, wait, logStreamNamePrefix=f"{app_name}/")
    in_order = sorted(events, key=lambda event: event.time)
    found = (_REFUSAL_LINE.fullmatch(event.text) for event in in_order)
    return tuple((line[1], line[2]) for line in found if line)


def _filtered(
    logs: CloudWatchLogsClient,
    group: str,
    words: str,
    since: float,
    wait: Wait,
    **more: str,
) -> Iterator[Event]:
    """Yield the lines that contain exactly these words; none if there is no log group.

    Send at most four requests a second: FilterLogEvents allows five for an account and region
    (CloudWatch Logs quotas), and others use it, too.
    """
    while True:
        try:
            page = logs.filter_log_events(
                logGroupName=group,
                filterPattern=f'"{words}"',
                startTime=int(since * 1000),
                **more,  # type: ignore[arg-type]
            )
        except logs.exceptions.ResourceNotFoundException:
            return
        for event in page["events"]:
            text = event["message"].rstrip("\n")
            yield Event(event["eventId"], event["timestamp"] / 1000, text)
        if "nextToken" not in page:
            return
        more["nextToken"] = page["nextToken"]
        wait(_PAUSE)


def exists(logs: CloudWatchLogsClient, group: str) -> bool:
    """Return whether there is a log group of this name."""
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    return any(one["logGroupName"] == group for one in found)


def ensure_group(logs: CloudWatchLogsClient, run: Run) -> None:
    """Make the log group; one that exists is kept: it may be shared."""
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=run.log_group, tags=tags.of_run(run))
    logs.put_retention_policy(logGroupName=run.log_group, retentionInDays=RETENTION_DAYS)
