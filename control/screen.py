"""Output for people: progress bars and live tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import functools
import math
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

# In a pipe or a log file a line at most this often: enough to see progress.
PLAIN_LINE_SECONDS = 10.0
Advance = Callable[[int], None]
_beside = ContextVar("_beside", default=False)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


@contextmanager
def beside_an_answer() -> Iterator[None]:
    """Keep standard output for an answer alone within the block, since a program may read it.

    Other lines and progress go to standard error.
    """
    token = _beside.set(True)
    try:
        yield
    finally:
        _beside.reset(token)


def answer(text: str) -> None:
    """Print a line of an answer on standard output, unchanged."""
    print(text, flush=True)


def answer_in_words(text: str) -> None:
    """Print a line of an answer that people read, broken between words on a terminal."""
    token = _beside.set(False)
    try:
        say(text)
    finally:
        _beside.reset(token)


def printable(text: str) -> str:
    """Return a line without what would move the cursor or color the rest of the screen."""
    return _CONTROL.sub("", _ESCAPES.sub("", text)).expandtabs(4)


def _out() -> TextIO:
    return sys.stderr if _beside.get() else sys.stdout


def console() -> Console:
    """Return the console for people, always the same: a line printed above a live one needs it."""
    return _console(_beside.get())


@functools.cache
def _console(on_stderr: bool) -> Console:
    return Console(highlight=False, soft_wrap=not _out().isatty(), stderr=on_stderr)


def say(text: str = "") -> None:
    """Print a line for people; on a terminal broken between words, never wider than it."""
    if is_terminal():
        console().print(text, markup=False)
    else:
        print(text, file=_out(), flush=True)


def cut(line: str) -> str:
    """Cut a line to the width of the terminal; elsewhere return all of it."""
    width = console().width
    return line if not is_terminal() or len(line) <= width else f"{line[: width - 3]}..."


def next_command(command: str) -> None:
    """Print the last line of a verb: what to type next."""
    say(f"Next: {command}")


@contextmanager
def progress(
    label: str, total: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Advance]:
    """Show a progress bar of `total` steps on a terminal, else a line every ten seconds."""
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
    """Show a line that changes in place on a terminal, else a new one every ten seconds."""
    began = clock()
    if not is_terminal():
        yield _rarely(clock)
        return
    with console().status("") as status:

        def show(text: str) -> None:
            line = f"{timedelta(seconds=int(clock() - began))}  {text}"
            # A live line that is broken into two leaves its first half behind.
            status.update(line[: max(20, console().width - 4)])

        yield show


def _rarely(clock: Callable[[], float], last: float = -math.inf) -> Callable[[str], None]:

    def show(text: str) -> None:
        nonlocal last
        if clock() - last >= PLAIN_LINE_SECONDS:
            last = clock()
            say(text)

    return show


def is_terminal() -> bool:
    """Tell whether the output is a terminal whose lines can be rewritten."""
    return _out().isatty() and os.environ.get("TERM") != "dumb"


def _plain(label: str, total: int, clock: Callable[[], float]) -> Advance:
    done, show = 0, _rarely(clock, clock())

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        show(f"{label}: {done:,}" + (f" of {total:,}" if total else ""))

    return advance
