"""Errors for people: what happened, and the one thing to do. Only the command line prints them."""

from __future__ import annotations


class ExplainedError(Exception):
    """AWS or the run failed. `what` is what happened and where, `fix` the one thing to do."""

    exit_code = 1

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what} {fix}")
        self.what = what
        self.fix = fix

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.what, self.fix)


class UserError(ExplainedError):
    """A mistake in the command, in config.py or in files/: nothing was changed on AWS by it."""

    exit_code = 2


class Interrupted(ExplainedError):
    """Ctrl-C."""

    exit_code = 130


def missing_package(error: ImportError) -> UserError:
    """Return the error for a package of files/requirements.txt that is not installed."""
    return UserError(
        f"The package {error.name} is not installed in this Python.",
        "Type `. .venv/bin/activate` if you used make, else: python -m pip install -r "
        "files/requirements.txt",
    )
