"""Make a run live: its run.json, queues, log group, cluster, task definition and service."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from control import screen
from control.aws import cloudwatch_logs, ecs, iam, sns, tags
from control.aws.s3 import put_json
from control.aws.sqs import ensure_queues
from control.model import Run, new_run_id
from control.records import store
from control.user_files import container_environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.aws.session import AWS, Identity
    from control.config import Config

# Only in the run.json of a run that has ended.
_NOT_ENDED: dict[str, Any] = {"ended": "", "end_reason": "", "mailed": False, "memory": {}}


def begin(s3: S3Client, config: Config, who: Identity, now: float) -> Run:
    """Write the run.json of a new run, before anything is created that it must name."""
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
    """Return what stop needs to know about an interrupted setup."""
    return {
        "cluster": config.ECS_CLUSTER,
        "service": f"{config.APP_NAME}Service",
        "log_group": config.LOG_GROUP_NAME,
    }


def make_live(aws: AWS, config: Config, run: Run, owner: str, *, reopen: bool = False) -> Run:
    """Create what is missing of a run, update the rest to the config, and return the run.

    Its RUN_ID and its records stay. `reopen` forgets that it has ended. Safe to repeat.
    """
    run = dataclasses.replace(run, owner=owner, config=config, **_names(config))
    task_role = config.TASK_ROLE_ARN or iam.role_arn(aws.iam, iam.TASK_ROLE)
    execution_role = iam.execution_role_arn(
        aws.iam, config.EXECUTION_ROLE_ARN, own_roles=bool(config.TASK_ROLE_ARN)
    )
    queue_url, dead_letter_url = ensure_queues(aws.sqs, config, tags.of_run(run))
    cloudwatch_logs.ensure_group(aws.logs, run)
    ecs.ensure_cluster(aws.ecs, run)
    environment = container_environment.of_container(
        config.container_values(), queue_url, run.run_id
    )
    container = ecs.container_definition(config, environment)
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
            **(_NOT_ENDED if reopen else {}),
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
    """Have the mail about the end of the run sent to NOTIFY_EMAIL, if there is one."""
    topic_arn = ""
    if config.NOTIFY_EMAIL:
        topic_arn, confirmed = sns.subscribe(aws.sns, config.NOTIFY_EMAIL)
        if not confirmed:
            screen.say(
                f"AWS sends a mail to {config.NOTIFY_EMAIL}, once: click its link, or no mail will "
                "come when the run ends."
            )
    return store.change(aws.s3, run, lambda r: dataclasses.replace(r, topic_arn=topic_arn))
