"""Every reason that there is, and how one looks where its values are left open."""

from __future__ import annotations

from string import Formatter

from control.command import COMMANDS
from control.explain import aws_errors, check_findings, no_job, no_machine

# Why no job runs.
IDLE = {
    "run": no_job.RUN,
    "machines": no_job.MACHINES,
    "history": no_machine.REASONS,
    "containers": {**no_job.CONTAINERS, **no_job.PLACEMENT, **no_job.STOPPED},
    "refusals": no_job.REFUSED,
}
TABLES = {
    **IDLE,
    "check": check_findings.FOUND,
    "errors": {**aws_errors.CODES, **aws_errors.FAILURES},
}


class Open(str):
    """A value left open, in whatever format it is wanted."""

    def __format__(self, spec):
        return str(self)


def names(template):
    """Yield the names of all values of a template, also those in the arguments of a command."""
    for _, name, spec, _ in Formatter().parse(template):
        if name is not None:
            yield from {name} - COMMANDS.keys()
            yield from names(spec)


def filled(reason, situation="", value="..."):
    """Fill a reason with the same value in every place."""
    every = {*names(reason.what), *names(reason.fix)}
    return reason.fill(situation, **dict.fromkeys(every, Open(value)))
