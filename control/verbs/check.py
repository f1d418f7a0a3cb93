"""check: whether a run would start, before it costs anything."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError, ClientError

from control import cli, screen
from control.aws import session
from control.checks import all_checks
from control.checks.findings import FAILED, OUTCOMES, PASSED
from control.command import typed
from control.config import find_in_project
from control.user_files import fleet_file
from control.verbs import next_command
from control.verbs.local.environment import load_project

if TYPE_CHECKING:
    from control.checks.findings import Finding, Subject


@cli.command("check", example=f"check {cli.FLEET}")
@click.argument("fleet", metavar="[FLEETFILE]", default=cli.FLEET)
@cli.json_option
def command(where: Path, fleet: str, as_json: bool) -> None:
    """Check whether a run would start, before it costs anything."""
    config = load_project(where)
    aws = session.connect(config)
    path = find_in_project(config, fleet)
    subject, found = all_checks.find_all(aws, config, fleet_file.read(path), time.time())
    if as_json:
        screen.answer(_as_json(found))
    else:
        all_checks.say(found)
        screen.say(f"{all_checks.in_words(found)}.")
    all_checks.raise_for_failed(found, "then check again.")
    if not as_json:
        screen.next_command(_next_verb(subject, found, os.path.relpath(path)))


def _next_verb(subject: Subject, found: Iterable[Finding], fleet_path: str) -> str:
    if any(one.found == "settings changed" for one in found):
        return f"{typed('setup')}   (registers the changed settings)"
    try:
        return next_command.next_verb(subject.aws, subject.run, fleet_path)
    except (ClientError, BotoCoreError):
        # What this login may not read is no reason to stop: status reads more, and shows why.
        return typed("status")


def _as_json(found: Iterable[Finding]) -> str:
    """Return the findings as documentation/json.md describes them."""
    every = [dataclasses.asdict(one) for one in found]
    counts = Counter(one["outcome"] for one in every)
    content = {
        "outcome": FAILED if counts[FAILED] else PASSED,
        "counts": {outcome: counts[outcome] for outcome in OUTCOMES},
        "checks": every,
    }
    return json.dumps(content, indent=1)
