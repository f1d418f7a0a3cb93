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


def ensure_group(logs: CloudWatchLogsClient, run: Run) -> None:
    """Make the log group; one that exists is kept: it may be shared."""
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=run.log_group, tags=tags.of_run(run))
    logs.put_retention_policy(logGroupName=run.log_group, retentionInDays=RETENTION_DAYS)
