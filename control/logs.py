"""CloudWatch Logs: the one log group of a run."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from control import tags

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

    from control.records import Run

# The logs of every job are on S3 for good; CloudWatch, which costs more, keeps them for two months.
RETENTION_DAYS = 60


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


def exists(logs: CloudWatchLogsClient, group: str) -> bool:
    """Whether there is a log group of this name."""
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    return any(one["logGroupName"] == group for one in found)


def ensure_group(logs: CloudWatchLogsClient, run: Run) -> None:
    """Make the log group; one that exists is kept: it may be shared."""
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=run.log_group, tags=tags.of_run(run))
    logs.put_retention_policy(logGroupName=run.log_group, retentionInDays=RETENTION_DAYS)
