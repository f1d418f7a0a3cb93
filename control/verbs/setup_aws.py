"""setupAWS: roles and the auto-monitor, once an account and project."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from control import cli, screen
from control.aws import iam, lambda_function, sns
from control.aws.scheduler import GROUP, delete_schedule_group, ensure_schedule_group
from control.aws.session import caller_identity
from control.command import typed
from control.config import find_in_project
from control.errors import ExplainedError
from control.records import store
from control.verbs import project

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config


@cli.command("setupAWS", example="setupAWS")
@click.option("--destroy", "is_removal", is_flag=True, help="remove what it made")
@click.option("--print", "only_print", is_flag=True, help="show the roles as JSON, create nothing")
def command(where: Path, is_removal: bool, only_print: bool) -> None:
    """Create roles and the auto-monitor, once for each project."""
    config, aws = project.connect(where)
    if only_print:
        screen.say(printed(aws, config))
        return
    for line in destroy(aws, config) if is_removal else make(aws, config):
        screen.say(line)
    if not is_removal:
        screen.next_command(typed("setup"))


def make(aws: AWS, config: Config, wait: Callable[[float], object] = time.sleep) -> Iterator[str]:
    """Create or complete the roles, and the auto-monitor in this region; yield what was done.

    Idempotent: an interrupted run of it is completed. Each project of the account (another APP_NAME
    or bucket) needs it once; what projects may do adds up.
    """
    prefix, described = _described(aws, config)
    yield from iam.setup_roles(aws.iam, described, config.APP_NAME, prefix)
    yield from iam.setup_service_linked(aws.iam)
    lambda_function.ensure_log_group(aws.logs)
    role = f"{prefix}:role/{iam.MONITOR_ROLE}"
    done = lambda_function.ensure(aws.functions, role, lambda_function.zipped(), wait)
    yield f"{done}: function {lambda_function.NAME} (the auto-monitor)"
    ensure_schedule_group(aws.scheduler, wait)
    yield f"there: schedule group {GROUP}"


def make_roles(aws: AWS, config: Config) -> None:
    """Create the roles alone: the AWS on this computer needs nothing else."""
    prefix, described = _described(aws, config)
    for _ in iam.setup_roles(aws.iam, described, config.APP_NAME, prefix):
        continue


def destroy(aws: AWS, config: Config) -> Iterator[str]:
    """Remove what setupAWS created for this project; with the last project, all of it.

    Service-linked roles stay: they are AWS's own, and others in the account may use them. Raise
    ExplainedError while a run of the project is live.
    """
    _refuse_live_run(aws, config)
    prefix, described = _described(aws, config)
    if config.NOTIFY_EMAIL and sns.delete_topic(aws.sns, config.NOTIFY_EMAIL):
        yield f"removed: topic {sns.topic(config.NOTIFY_EMAIL)}"
    yield from iam.remove_project(aws.iam, described, config.APP_NAME, prefix)
    others = iam.projects(aws.iam, described)
    if others:
        yield f"kept: the roles and the auto-monitor, for {', '.join(others)}"
        return
    yield (
        f"This removes the roles, which serve all regions, and what is in {config.AWS_REGION}. "
        "What was created in other regions stays, but does not work without the roles: to remove "
        f"it, type `{typed('setupAWS', '--destroy')}` again with each region as AWS_REGION."
    )
    if delete_schedule_group(aws.scheduler):
        yield f"removed: schedule group {GROUP}"
    yield from lambda_function.delete(aws.functions, aws.logs)
    yield from iam.remove_roles(aws.iam, described)
    yield "kept: service-linked roles, which are AWS's own"


def printed(aws: AWS, config: Config) -> str:
    """Return the roles as JSON, for a site that creates them in its own way."""
    return json.dumps(_described(aws, config)[1], indent=2)


def _described(aws: AWS, config: Config) -> tuple[str, list[dict[str, Any]]]:
    who = caller_identity(aws.sts)
    known = iam.policy_names(config, who.account)
    folder = find_in_project(config, "files/iam")
    return f"arn:{known['PARTITION']}:iam::{who.account}", iam.read_policy(folder, known)


def _refuse_live_run(aws: AWS, config: Config) -> None:
    try:
        run = store.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    except aws.s3.exceptions.NoSuchBucket:
        return
    if run is not None and not run.ended and (run.schedule or run.fleets):
        raise ExplainedError(
            f"Run {run.run_id} of {run.app_name} may still have machines, which need these roles.",
            f"End it first: {typed('stop')}",
        )
