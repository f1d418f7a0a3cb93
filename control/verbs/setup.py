"""setup: queues, log group, cluster, task definition and service of a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from control import cli, screen
from control.aws import session
from control.aws.s3 import region_of
from control.explain import aws_errors
from control.records import live_run, store
from control.user_files import container_environment
from control.verbs import next_command, project
from control.verbs.local.environment import load_project

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run


@cli.command("setup", example="setup")
@cli.take_over_option
def command(where: Path, take_over: bool) -> None:
    """Create the queues, cluster and service of a run."""
    config = load_project(where)
    aws = session.connect(config)
    run = setup(aws, config, take_over=take_over)
    screen.next_command(next_command.next_verb(aws, run))


def setup(
    aws: AWS,
    config: Config,
    clock: Callable[[], float] = time.time,
    *,
    take_over: bool = False,
) -> Run:
    """Create everything that costs nothing while it waits; return the run.

    Idempotent: what exists is updated. A live run keeps its RUN_ID; after the end of a run a new
    one begins. Raise UserError for a bucket that is missing, ExplainedError if the live run is
    another person's.
    """
    who = session.caller_identity(aws.sts)
    check_bucket(aws.s3, config)
    before = store.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    if before is not None and not before.ended:
        project.refuse_others(before, who.arn, take_over)
        run = before
        changes = container_environment.changes(run.config, config)
        if changes and run.task_definition:
            screen.say(f"Changed since the last setup: {'; '.join(changes)}")
    else:
        run = live_run.begin(aws.s3, config, who, clock())
    run = live_run.make_live(aws, config, run, who.arn)
    screen.say(f"Run {run.run_id} of {run.app_name} is set up in {run.region}:")
    for kind, name in (
        ("queue", config.SQS_QUEUE_NAME),
        ("dead-letter queue", config.SQS_DEAD_LETTER_QUEUE),
        ("cluster", run.cluster),
        ("service", run.service),
        ("task definition", run.task_definition.rsplit("/", 1)[-1]),
        ("log group", run.log_group),
        ("records", f"s3://{run.bucket}/{run.prefix}"),
    ):
        screen.say(f"  {kind:<18}{name}")
    if before is not None and before.run_id != run.run_id:
        next_command.say_left_behind(aws, before)
    return run


def check_bucket(s3: S3Client, config: Config) -> None:
    """Raise UserError if AWS_BUCKET does not exist or belongs to somebody else."""
    there, status = region_of(s3, config.AWS_BUCKET)
    if status != 200:
        raise aws_errors.failure(
            {301: "bucket elsewhere", 403: "bucket refused", 404: "NoSuchBucket"}[status],
            setting="AWS_BUCKET",
            bucket=config.AWS_BUCKET,
            region=config.AWS_REGION,
            there=there or "another region",
        )
