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
    """A verb of run.py or another program, and its arguments; `format` adds arguments."""

    name: str
    arguments: str = ""

    def __str__(self) -> str:
        words = [self.name, self.arguments]
        if self.name in VERBS:
            words = [PROGRAM, _project.get(), *words]
        return " ".join(word for word in words if word)

    def __format__(self, arguments: str) -> str:
        return str(Command(self.name, arguments or self.arguments))


# What a placeholder of a text can name: "{retry:--unfinished}", "{make:-C worker push}". `run` is
# for commands of another project.
COMMANDS = {name: Command(name) for name in (*VERBS, "make", "aws")} | {"run": Command(PROGRAM)}


def typed(verb: str, *arguments: str) -> str:
    """Return a verb's command as it is typed, in the project of this command line."""
    return str(Command(verb, " ".join(arguments)))
