"""All checks in their order, and their findings on the screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
    UNKNOWN,
    WARNED,
    Check,
    Finding,
    Subject,
    guarded,
    unknown,
)
from control.errors import ExplainedError, UserError
from control.explain import aws_errors
from control.text import several

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.user_files.fleet_file import FleetFile

# In this order: later ones use what earlier ones found.
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
_COLORS = {FAILED: "red", WARNED: "yellow", UNKNOWN: "cyan"}


def find_all(
    aws: AWS, config: Config, file: FleetFile, now: float
) -> tuple[Subject, list[Finding]]:
    """Return what all checks find, and what they learned. Change nothing.

    Without usable credentials AWS answers no question: one finding explains that, and what is on
    this computer is checked all the same.
    """
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


def say(found: Iterable[Finding]) -> None:
    """Print check, outcome, what, and each fix below it: a table on a terminal, else lines."""
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
        color = _COLORS.get(one.outcome, "green")
        table.add_row(one.check, Text(one.outcome, color), Text(screen.printable(one.what) + fix))
    return table


def raise_for_failed(found: Iterable[Finding], then: str) -> None:
    """Raise ExplainedError, exit code 1, if a check failed; `then` is how to continue."""
    failed = [one for one in found if one.outcome == FAILED]
    if failed:
        names = ", ".join(dict.fromkeys(one.check for one in failed))
        raise ExplainedError(
            f"{several(len(failed), 'check')} failed: {names}.",
            f"Apply the fix shown next to each check, {then}",
        )


def in_words(found: Iterable[Finding]) -> str:
    """Return '12 passed, 1 warned, 2 not checkable'."""
    counts = Counter(one.outcome for one in found)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
