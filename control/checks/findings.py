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
    """A result of one check; `found` is its name in explain/check_findings.py, if it has one."""

    check: str
    outcome: str
    what: str
    fix: str = ""
    found: str = ""


@dataclass
class Subject:
    """The project to check. `identity` is the login; `run` is the newest of the app, if there is
    one; `no_run` is why it cannot be read; `types` are the machine types, once the check of
    machines has found them."""

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
    """Return that all is well."""
    return Finding(check, PASSED, what)


def unknown(check: str, why: str) -> Finding:
    """Return that it cannot be checked."""
    return Finding(check, UNKNOWN, why)


def failed(check: str, found: str, **values: object) -> Finding:
    """Return a finding with which no run can start."""
    return _finding(check, FAILED, found, values)


def warned(check: str, found: str, **values: object) -> Finding:
    """Return a finding with which a run can start."""
    return _finding(check, WARNED, found, values)


def not_checkable(check: str, found: str, **values: object) -> Finding:
    """Return that it cannot be checked, for a reason that can be fixed."""
    return _finding(check, UNKNOWN, found, values)


def _finding(check: str, outcome: str, found: str, values: dict[str, object]) -> Finding:
    explained = FOUND[found].fill(found, **values)
    return Finding(check, outcome, explained.what, explained.fix, found)


def guarded(name: str, check: Check, subject: Subject) -> list[Finding]:
    """Return the findings of a check. If AWS refuses or does not answer, the rest of it is not
    checkable, and the others are made all the same."""
    found: list[Finding] = []
    try:
        found += check(subject)
    except (ClientError, BotoCoreError) as error:
        why = aws_errors.summary(error)
        if isinstance(error, ClientError) and aws_errors.code_of(error) == "NotImplemented":
            why = "the AWS on this computer does not have it"
        found.append(unknown(name, why))
    except ExplainedError as error:
        found.append(Finding(name, FAILED, error.what, error.fix))
    return found
