"""Findings of `check`: passed, failed, or not checkable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from control.errors import ExplainedError
from control.explain import aws_errors
from control.explain.check_findings import FOUND

if TYPE_CHECKING:
    from control.aws.ec2 import MachineType
    from control.aws.session import AWS, Identity
    from control.config import Config
    from control.model import Run
    from control.user_files.fleet_file import FleetFile

PASSED, FAILED, WARNED, UNKNOWN = OUTCOMES = "passed", "failed", "warned", "not checkable"


@dataclass(frozen=True)
class Finding:
    """What one check found. `found` names it in reasons_check.py, where it is one of those."""

    check: str
    outcome: str
    what: str
    fix: str = ""
    found: str = ""


@dataclass
class Subject:
    """What is checked. `identity` is who asks; `run` is the newest of the app, if there is one;
    `no_run` is why that is not known, if S3 does not tell; `types` are the machine types, once the
    check of machines has found them."""

    aws: AWS
    config: Config
    file: FleetFile
    now: float
    identity: Identity | None = None
    run: Run | None = None
    no_run: str = ""
    types: tuple[MachineType, ...] = ()


Check = Callable[[Subject], Iterator[Finding]]


def passed(check: str, what: str) -> Finding:
    return Finding(check, PASSED, what)


def unknown(check: str, why: str) -> Finding:
    return Finding(check, UNKNOWN, why)


def failed(check: str, found: str, **words: object) -> Finding:
    return _told(check, FAILED, found, words)


def warned(check: str, found: str, **words: object) -> Finding:
    return _told(check, WARNED, found, words)


def untold(check: str, found: str, **words: object) -> Finding:
    """Not checkable, for a reason that has a cure."""
    return _told(check, UNKNOWN, found, words)


def _told(check: str, outcome: str, found: str, words: dict[str, object]) -> Finding:
    reason = FOUND[found]
    # No capital at the beginning: it may be the name of an image or of a subnet.
    what, fix = reason.sentence.format(**words), reason.cure.format(**words)
    return Finding(check, outcome, what, fix, found)


def guarded(name: str, check: Check, subject: Subject) -> list[Finding]:
    """What a check finds. An AWS that refuses or does not answer makes the rest of it not
    checkable, and says so: a check is no reason to stop."""
    found: list[Finding] = []
    try:
        found += check(subject)
    except (ClientError, BotoCoreError) as error:
        explained = aws_errors.explain(error)
        why = explained.what if explained else str(error)
        if isinstance(error, ClientError) and aws_errors.code_of(error) == "NotImplemented":
            why = "the AWS on this computer does not know it"
        found.append(unknown(name, why))
    except ExplainedError as error:
        found.append(Finding(name, FAILED, error.what, error.fix))
    return found
