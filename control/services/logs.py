"""CloudWatch Logs: the one log group of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from control.services import tags

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

    from control.services.records import Run

# The logs of every job are on S3 for good; CloudWatch, which costs more, keeps them for two months.
RETENTION_DAYS = 60
_PAUSE = 0.25


class Event(NamedTuple):
    """A line of a job in CloudWatch; `time` in seconds since 1970, when it was written."""

    id: str
    time: float
    text: str


def last_lines(logs: CloudWatchLogsClient, group: str, most: int) -> list[str]:
    """The last lines of the container that wrote last; none if there is no log."""
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
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Event]:
    """The lines of a job since a time in seconds since 1970, whichever containers wrote them.

    Asks at most four times a second: FilterLogEvents takes five in an account and region
    (CloudWatch Logs quotas), and others ask, too.
    """
    own = f"[{job_name}] "
    token: dict[str, str] = {}
    while True:
        try:
            page = logs.filter_log_events(
                logGroupName=group,
                # In quotes: the exact words, wherever they stand.
                filterPattern=f'"{own.strip()}"',
                startTime=int(since * 1000),
                **token,  # type: ignore[arg-type]
            )
        except logs.exceptions.ResourceNotFoundException:
            return
        for event in page["events"]:
            if event["message"].startswith(own):
                text = event["message"][len(own) :].rstrip("\n")
                yield Event(event["eventId"], event["timestamp"] / 1000, text)
        if "nextToken" not in page:
            return
        token = {"nextToken": page["nextToken"]}
        wait(_PAUSE)


def exists(logs: CloudWatchLogsClient, group: str) -> bool:
    """Whether there is a log group of this name."""
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    return any(one["logGroupName"] == group for one in found)


def ensure_group(logs: CloudWatchLogsClient, run: Run) -> None:
    """Make the log group; one that exists is kept: it may be shared."""
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=run.log_group, tags=tags.of_run(run))
    logs.put_retention_policy(logGroupName=run.log_group, retentionInDays=RETENTION_DAYS)
