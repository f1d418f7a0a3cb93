"""setup: queues, log group, cluster, task definition and service of a run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from control import screen
from control.aws import cloudwatch_logs, ecs, iam, sns, tags
from control.aws.s3 import put_json, region_of
from control.aws.session import AWS, Identity, caller_identity
from control.aws.sqs import ensure_queues
from control.command import typed
from control.config import Config
from control.errors import ExplainedError
from control.explain import aws_errors
from control.model import Run, new_run_id
from control.records import store
from control.user_files import container_environment
from control.verbs import next_command

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What a run that has ended says no longer when it is set up again.
_LIVE: dict[str, Any] = {"ended": "", "end_reason": "", "mailed": False, "memory": {}}


def setup(
    aws: AWS,
    config: Config,
    clock: Callable[[], float] = time.time,
    *,
    take_over: bool = False,
) -> Run:
    """Make everything that costs nothing while it waits; returns the run.

    Idempotent: what exists is brought up to date. In mid-run the RUN_ID stays; after the end of
    a run a new one begins. Raises UserError for a bucket that is not there, ExplainedError if
    the live run is another person's.
    """
    who = caller_identity(aws.sts)
    check_bucket(aws.s3, config)
    before = store.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    if before is not None and not before.ended:
        refuse_others(before, who.arn, take_over)
        run = before
        said = container_environment.changes(run.config, config)
        if said and run.task_definition:
            screen.say(f"Changed since the last setup: {'; '.join(said)}")
    else:
        run = _begin(aws.s3, config, who, clock())
    run = _make(aws, config, run, who.arn)
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


def reopen(aws: AWS, config: Config, run: Run) -> Run:
    """Make what is missing of a run that was set up before, ended or not; it is live then.

    Its RUN_ID and all that is on record of it stay. Safe to repeat.
    """
    who = caller_identity(aws.sts)
    check_bucket(aws.s3, config)
    return _make(aws, config, run, who.arn, _LIVE)


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


def say_changes(run: Run, config: Config) -> None:
    """Say which settings were changed since setup, and that setup registers them."""
    said = container_environment.changes(run.config, config)
    if said:
        screen.say(f"Changed since setup: {'; '.join(said)}. To use it: {typed('setup')}")


def refuse_others(run: Run, arn: str, take_over: bool) -> None:
    """Raise ExplainedError if the run is live and another person's, unless taken over."""
    if run.owner != arn and not take_over:
        raise ExplainedError(
            f"{run.app_name} is a live run of {run.owner}, set up {run.run_id}.",
            "Give your own run another APP_NAME in config.py; or, if you agreed on it, add "
            "--take-over.",
        )


def _begin(s3: S3Client, config: Config, who: Identity, now: float) -> Run:
    """Write the run.json of a new run, before anything is made that it must name."""
    while True:
        run = store.create(
            s3,
            Run(
                app_name=config.APP_NAME,
                run_id=new_run_id(now),
                bucket=config.AWS_BUCKET,
                region=config.AWS_REGION,
                account=who.account,
                owner=who.arn,
                config=config,
                **_names(config),
            ),
        )
        if not run.ended:
            return run
        now += 1  # a run that began in this very second has ended already


def _names(config: Config) -> dict[str, Any]:
    """What stop needs to know of a setup that was broken off."""
    return {
        "cluster": config.ECS_CLUSTER,
        "service": f"{config.APP_NAME}Service",
        "log_group": config.LOG_GROUP_NAME,
    }


def _make(
    aws: AWS, config: Config, run: Run, owner: str, more: Mapping[str, Any] | None = None
) -> Run:
    run = dataclasses.replace(
        run,
        owner=owner,
        config=config,
        **_names(config),
    )
    task_role = config.TASK_ROLE_ARN or iam.role_arn(aws.iam, iam.TASK_ROLE)
    execution_role = iam.execution_role_arn(
        aws.iam, config.EXECUTION_ROLE_ARN, own_roles=bool(config.TASK_ROLE_ARN)
    )
    queue_url, dead_letter_url = ensure_queues(aws.sqs, config, tags.of_run(run))
    cloudwatch_logs.ensure_group(aws.logs, run)
    ecs.ensure_cluster(aws.ecs, run)
    told = container_environment.of_container(config.container_values(), queue_url, run.run_id)
    container = ecs.container_definition(config, told)
    task_definition = ecs.register_task_definition(
        aws.ecs, run, container, task_role, execution_role
    )
    ecs.ensure_service(aws.ecs, run, task_definition)
    run = store.change(
        aws.s3,
        run,
        lambda now: dataclasses.replace(
            now,
            owner=owner,
            config=config,
            cluster=run.cluster,
            service=run.service,
            log_group=run.log_group,
            queue_url=queue_url,
            dead_letter_url=dead_letter_url,
            task_definition=task_definition,
            **(more or {}),
        ),
    )
    run = _subscribe(aws, config, run)
    snapshot = f"{run.prefix}snapshot/"
    content = config.path.read_bytes()
    aws.s3.put_object(Bucket=run.bucket, Key=f"{snapshot}config.py", Body=content)
    put_json(aws.s3, run.bucket, f"{snapshot}config.json", config.container_values())
    put_json(aws.s3, run.bucket, f"{snapshot}task-definition.json", container)
    return run


def _subscribe(aws: AWS, config: Config, run: Run) -> Run:
    """Have the mail about the end of the run sent to NOTIFY_EMAIL, or to nobody."""
    topic_arn = ""
    if config.NOTIFY_EMAIL:
        topic_arn, confirmed = sns.subscribe(aws.sns, config.NOTIFY_EMAIL)
        if not confirmed:
            screen.say(
                f"AWS sends a mail to {config.NOTIFY_EMAIL}, once: click its link, or no mail will "
                "come when the run ends."
            )
    return store.change(aws.s3, run, lambda r: dataclasses.replace(r, topic_arn=topic_arn))
