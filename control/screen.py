"""Output for people: progress bars and live tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import functools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# In a pipe or a log file a line at most this often: enough to see that it goes on.
PLAIN_LINE_SECONDS = 10.0

Advance = Callable[[int], None]

_beside = ContextVar("_beside", default=False)

_project = ContextVar("_project", default="")

# Our own verbs only: what is said may have lines of the user's programs in it.
VERBS = (
    *("setupAWS", "setup", "submitJob", "startCluster", "monitor", "check", "status"),
    *("failures", "retry", "logs", "report", "stop", "local"),
)

_COMMAND = re.compile(rf"\bpython run\.py (?!\w+ --help)(?=(?:{'|'.join(VERBS)})\b)")

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


@contextmanager
def beside_an_answer() -> Iterator[None]:
    """Within the block standard output is for an answer alone, which a program may read: what is
    said beside it, and progress, go to standard error."""
    token = _beside.set(True)
    try:
        yield
    finally:
        _beside.reset(token)


@contextmanager
def for_project(option: str) -> Iterator[None]:
    """Within the block the commands that are said name the project: by "--config X", or ""."""
    token = _project.set(f"{option} " if option else "")
    try:
        yield
    finally:
        _project.reset(token)


def named(text: str) -> str:
    """A text whose commands, such as "python run.py status", name the project."""
    return _COMMAND.sub(lambda found: found[0] + _project.get(), text)


def answer(text: str) -> None:
    """A line of an answer, on standard output as it is."""
    print(text, flush=True)


def answer_in_words(text: str) -> None:
    """A line of an answer that people read, broken between words on a terminal."""
    token = _beside.set(False)
    try:
        say(text)
    finally:
        _beside.reset(token)


def printable(text: str) -> str:
    """A line without what would move the cursor or colour the rest of the screen."""
    return _CONTROL.sub("", _ESCAPES.sub("", text)).expandtabs(4)


def _out() -> TextIO:
    return sys.stderr if _beside.get() else sys.stdout


def console() -> Console:
    """Where people are told, one for all: what is printed beside a live line must know of it."""
    return _console(_beside.get())


@functools.cache
def _console(on_stderr: bool) -> Console:
    return Console(highlight=False, soft_wrap=not _out().isatty(), stderr=on_stderr)


def say(text: str = "") -> None:
    """A line for people; on a terminal broken between words, never wider than it."""
    text = named(text)
    if is_terminal():
        console().print(text, markup=False)
    else:
        print(text, file=_out(), flush=True)


def cut(line: str) -> str:
    """On a terminal no more of a line than its width; elsewhere all of it."""
    width = console().width
    return line if not is_terminal() or len(line) <= width else f"{line[: width - 3]}..."


def next_command(command: str) -> None:
    """The last line of a verb: what to type next."""
    say(f"Next: {command}")


@contextmanager
def progress(
    label: str, total: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Advance]:
    """A progress bar of `total` steps on a terminal, else a line every ten seconds."""
    if not is_terminal():
        yield _plain(label, total, clock)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task(label, total=total or None)  # 0: not known yet
        yield lambda steps: bar.update(task, advance=steps)


@contextmanager
def live_status(clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[str], None]]:
    """A line that changes in its place on a terminal; elsewhere a new one every ten seconds."""
    began = clock()
    if not is_terminal():
        yield _seldom(clock)
        return
    with console().status("") as status:

        def show(text: str) -> None:
            line = f"{timedelta(seconds=int(clock() - began))}  {text}"
            # A live line that is broken into two leaves its first half behind.
            status.update(line[: max(20, console().width - 4)])

        yield show


def _seldom(clock: Callable[[], float]) -> Callable[[str], None]:
    last = clock() - PLAIN_LINE_SECONDS

    def show(text: str) -> None:
        nonlocal last
        if clock() - last >= PLAIN_LINE_SECONDS:
            last = clock()
            say(text)

    return show


def is_terminal() -> bool:
    """Whether what is said is seen by a person at once, on a terminal that can be written over."""
    return _out().isatty() and os.environ.get("TERM") != "dumb"


def _plain(label: str, total: int, clock: Callable[[], float]) -> Advance:
    done, last = 0, clock()

    def advance(steps: int) -> None:
        nonlocal done, last
        done += steps
        if clock() - last >= PLAIN_LINE_SECONDS:
            last = clock()
            say(f"{label}: {done:,}" + (f" of {total:,}" if total else ""))

    return advance
