"""Commands as people type them, such as `python run.py --config X retry --unfinished`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

VERBS = (
    *("setupAWS", "setup", "submitJob", "startCluster", "monitor", "check", "status"),
    *("failures", "retry", "logs", "report", "stop", "local"),
)
PROGRAM = "python run.py"
_project = ContextVar("_project", default="")


@contextmanager
def in_project(option: str) -> Iterator[None]:
    """Name the project in all commands within the block: by "--config X", or "" for this folder."""
    token = _project.set(option)
    try:
        yield
    finally:
        _project.reset(token)


@dataclass(frozen=True)
class Command:
    """A command without its arguments, which `format` adds; `is_verb`: one of run.py."""

    text: str
    is_verb: bool = True

    def __str__(self) -> str:
        words = [PROGRAM, _project.get(), self.text] if self.is_verb else [self.text]
        return " ".join(word for word in words if word)

    def __format__(self, arguments: str) -> str:
        return str(Command(f"{self.text} {arguments}".strip(), self.is_verb))


# Placeholders of a text that stand for commands: "{retry:--unfinished}", "{make:-C worker push}".
# `run` is for commands of another project.
COMMANDS = {
    **{verb: Command(verb) for verb in VERBS},
    **{"make": Command("make", False), "aws": Command("aws", False)},
    "run": Command(PROGRAM, False),
}


def typed(verb: str, *arguments: str) -> str:
    """Return a verb's command as it is typed, in the project of this command line."""
    return str(Command(" ".join((verb, *arguments))))
