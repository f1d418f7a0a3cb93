"""The project that a verb is typed for: its config, its AWS, its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from control import screen
from control.aws import session
from control.command import typed
from control.errors import ExplainedError
from control.records import find
from control.user_files import container_environment
from control.verbs.local import last_run
from control.verbs.local.environment import load_project

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run


def connect(where: Path) -> tuple[Config, AWS]:
    """Return the config of the project at `where` and its clients, after a first call.

    That call fails within seconds if there are no credentials or there is no network.
    """
    config = load_project(where)
    aws = session.connect(config)
    session.caller_identity(aws.sts)
    return config, aws


def find_run(where: Path, run_id: str = "") -> tuple[Config, AWS, Run]:
    """Return the same with the run of this RUN_ID, the newest if it is "".

    If the last run here was on this computer, the error says where its results are.
    """
    with last_run.explained(where):
        config, aws = connect(where)
        return config, aws, find.run(aws.s3, config.AWS_BUCKET, config.APP_NAME, run_id)


def say_changes(run: Run, config: Config) -> None:
    """Say which settings were changed since setup, and that setup registers them."""
    changes = container_environment.changes(run.config, config)
    if changes:
        screen.say(f"Changed since setup: {'; '.join(changes)}. To use it: {typed('setup')}")


def refuse_others(run: Run, arn: str, take_over: bool) -> None:
    """Raise ExplainedError if the run is live and another person's, unless taken over."""
    if run.owner != arn and not take_over:
        raise ExplainedError(
            f"{run.app_name} is a live run of {run.owner}, set up {run.run_id}.",
            "Give your own run another APP_NAME in config.py; or, if you agreed on it, add "
            "--take-over.",
        )
