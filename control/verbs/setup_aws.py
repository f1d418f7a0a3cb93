"""setupAWS: what an account needs before the first run; made once, by whoever may create roles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from control import settings
from control.errors import ExplainedError
from control.services import account, monitor_function, notify, policies, records, roles, schedules

if TYPE_CHECKING:
    from control.services.account import AWS
    from control.settings import Config


def make(aws: AWS, config: Config, wait: Callable[[float], object] = time.sleep) -> Iterator[str]:
    """Make or complete the roles, and the auto-monitor in this region; yields what was done.

    Idempotent: what a broken run of it left half made is completed. For another project of the
    account (another APP_NAME or bucket) it is run again; what projects may do adds up.
    """
    prefix, described = _described(aws, config)
    yield from roles.setup_roles(aws.iam, described, config.APP_NAME, prefix)
    yield from roles.setup_service_linked(aws.iam)
    monitor_function.ensure_log_group(aws.logs)
    role = f"{prefix}:role/{roles.MONITOR_ROLE}"
    done = monitor_function.ensure(aws.functions, role, monitor_function.zipped(), wait)
    yield f"{done}: function {monitor_function.NAME} (the auto-monitor)"
    schedules.ensure_group(aws.scheduler)
    yield f"there: schedule group {schedules.GROUP}"


def make_roles(aws: AWS, config: Config) -> None:
    """The roles alone: all that AWS on this computer needs."""
    prefix, described = _described(aws, config)
    for _ in roles.setup_roles(aws.iam, described, config.APP_NAME, prefix):
        continue


def destroy(aws: AWS, config: Config) -> Iterator[str]:
    """Take away what setupAWS made for this project; with the last project, all that it made.

    Service-linked roles stay: they are AWS's own, and others in the account may use them. Raises
    ExplainedError while a run of the project is live.
    """
    _refuse_live_run(aws, config)
    prefix, described = _described(aws, config)
    if config.NOTIFY_EMAIL and notify.delete_topic(aws.sns, config.NOTIFY_EMAIL):
        yield f"removed: topic {notify.topic(config.NOTIFY_EMAIL)}"
    yield from roles.remove_project(aws.iam, described, config.APP_NAME, prefix)
    others = roles.projects(aws.iam, described)
    if others:
        yield f"kept: the roles and the auto-monitor, for {', '.join(others)}"
        return
    if schedules.delete_group(aws.scheduler):
        yield f"removed: schedule group {schedules.GROUP}"
    yield from monitor_function.delete(aws.functions, aws.logs)
    yield from roles.remove_roles(aws.iam, described)
    yield "kept: service-linked roles, which are AWS's own"


def printed(aws: AWS, config: Config) -> str:
    """The roles as JSON, filled in, for a site that makes them in a way of its own."""
    return json.dumps(_described(aws, config)[1], indent=2)


def _described(aws: AWS, config: Config) -> tuple[str, list[dict[str, Any]]]:
    who = account.identity(aws.sts)
    known = policies.names(config, who.account)
    folder = settings.find(config, "files/iam")
    return f"arn:{known['PARTITION']}:iam::{who.account}", policies.read(folder, known)


def _refuse_live_run(aws: AWS, config: Config) -> None:
    try:
        run = records.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    except aws.s3.exceptions.NoSuchBucket:
        return
    if run is not None and not run.ended and (run.schedule or run.fleets):
        raise ExplainedError(
            f"Run {run.run_id} of {run.app_name} may still have machines, which need these roles.",
            "End it first: python run.py stop",
        )
