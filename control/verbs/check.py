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

from botocore.exceptions import BotoCoreError, ClientError
from rich.table import Table
from rich.text import Text

from control import screen
from control.aws.session import caller_identity
from control.checks import access, image, inputs, machine_types, market, network
from control.checks.findings import (
    FAILED,
    OUTCOMES,
    PASSED,
    UNKNOWN,
    WARNED,
    Check,
    Finding,
    Subject,
    guarded,
    unknown,
)
from control.command import typed
from control.errors import ExplainedError, UserError
from control.explain import aws_errors
from control.text import several
from control.user_files import fleet_file
from control.verbs import next_command

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.user_files.fleet_file import FleetFile

# In this order: what one finds, others stand on.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("config", access.config),
    ("credentials", access.credentials),
    ("buckets", access.buckets),
    ("roles", access.the_roles),
    ("machine types", machine_types.types),
    ("fit", machine_types.fits),
    ("disk", machine_types.disk),
    ("image name", image.makefile),
    ("image", image.image),
    ("subnets", network.subnets),
    ("security groups", network.groups),
    ("quota", market.quota),
    ("price", market.price),
    ("placement score", market.score),
    ("job timeout", inputs.timeout),
    ("inputs", inputs.inputs),
)

_ON_THIS_COMPUTER = ("config", "image name", "job timeout")

_COLOURS = {FAILED: "red", WARNED: "yellow", UNKNOWN: "cyan"}


def findings(aws: AWS, config: Config, file: FleetFile, now: float) -> list[Finding]:
    """What all checks find. Changes nothing.

    Where AWS cannot be asked who is asking, it can be asked nothing: that is said once, and what
    stands on this computer is checked all the same.
    """
    return _look(aws, config, file, now)[1]


def _look(aws: AWS, config: Config, file: FleetFile, now: float) -> tuple[Subject, list[Finding]]:
    subject = Subject(aws, config, file, now)
    try:
        subject.identity = caller_identity(aws.sts)
    except (ClientError, BotoCoreError) as error:
        explained = aws_errors.explain(error)
        if explained is None:
            raise
        rest = [one for name, _ in CHECKS for one in _without_aws(name, subject, explained)]
        return subject, rest
    access.find_run(subject)
    found: list[Finding] = []
    for name, check in CHECKS:
        found += guarded(name, check, subject)
    return subject, found


def _without_aws(name: str, subject: Subject, why: ExplainedError) -> list[Finding]:
    if name == "credentials":
        return [Finding(name, FAILED, why.what, why.fix)]
    if name in _ON_THIS_COMPUTER:
        return guarded(name, dict(CHECKS)[name], subject)
    return [unknown(name, "needs credentials" if isinstance(why, UserError) else "needs AWS")]


def check(aws: AWS, config: Config, fleet_path: Path, *, as_json: bool) -> str:
    """Show what all checks find; returns the verb that is due. Raises ExplainedError, exit code 1,
    if one failed.
    """
    subject, found = _look(aws, config, fleet_file.read(fleet_path), time.time())
    if as_json:
        screen.answer(_as_json(found))
    else:
        _say(found)
        screen.say(f"{_in_words(found)}.")
    _raise_for_failed(found, "then check again.")
    return "" if as_json else _due(subject, found, os.path.relpath(fleet_path))


def _due(subject: Subject, found: Iterable[Finding], fleet_path: str) -> str:
    if any(one.found == "settings changed" for one in found):
        return f"{typed('setup')}   (registers the changed settings)"
    try:
        return next_command.next_verb(subject.aws, subject.run, fleet_path)
    except (ClientError, BotoCoreError):
        # What this login may not read is no reason to stop: status reads more, and shows why.
        return typed("status")


def before_start(aws: AWS, config: Config, fleet_path: Path) -> None:
    """What startCluster does first: say what is wrong, and stop at what failed."""
    found = findings(aws, config, fleet_file.read(fleet_path), time.time())
    _say(one for one in found if one.outcome in (FAILED, WARNED))
    screen.say(f"Checked: {_in_words(found)}. To see all of it: {typed('check')}")
    _raise_for_failed(found, "or start without checks: --no-check")


def _say(found: Iterable[Finding]) -> None:
    """A table on a terminal, else lines: check, outcome, what, and each cure below it."""
    if screen.is_terminal():
        screen.console().print(_table(found))
        return
    for one in found:
        screen.say(f"{one.check:<16} {one.outcome:<14} {screen.printable(one.what)}")
        if one.fix:
            screen.say(f"{'':<16} {'':<14} Fix: {one.fix}")


def _table(found: Iterable[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in found:
        fix = f"\nFix: {one.fix}" if one.fix else ""
        colour = _COLOURS.get(one.outcome, "green")
        table.add_row(one.check, Text(one.outcome, colour), Text(screen.printable(one.what) + fix))
    return table


def _as_json(found: Iterable[Finding]) -> str:
    """The findings as documentation/json.md describes them."""
    every = [dataclasses.asdict(one) for one in found]
    counts = Counter(one["outcome"] for one in every)
    content = {
        "outcome": FAILED if counts[FAILED] else PASSED,
        "counts": {outcome: counts[outcome] for outcome in OUTCOMES},
        "checks": every,
    }
    return json.dumps(content, indent=1)


def _raise_for_failed(found: Iterable[Finding], again: str) -> None:
    """Raise ExplainedError, exit code 1, if a check failed; `again` is how to go on."""
    failed = [one for one in found if one.outcome == FAILED]
    if failed:
        names = ", ".join(dict.fromkeys(one.check for one in failed))
        raise ExplainedError(
            f"{several(len(failed), 'check')} failed: {names}.",
            f"Apply the fix shown next to each check, {again}",
        )


def _in_words(found: Iterable[Finding]) -> str:
    """'12 passed, 1 warned, 2 not checkable'."""
    counts = Counter(one.outcome for one in found)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
