"""Run a program of a job: start it, search its output for errors, and explain how it ended."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import subprocess
import threading
import time
from functools import partial
from pathlib import Path
from typing import IO, Any, Mapping, Sequence

from plumbing import job_log, machine_health, process_tree
from plumbing.errors import JobFailed

# The longest command line in the log, in characters, which take at most four bytes each in UTF-8.
# The first arguments and the last ones are enough to recognize a command.
LONGEST = 900
_LONGEST_WORD = 300
_END = 320
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
# How long to read what is still in the pipe after the program has ended: a process that it left
# behind may keep the pipe open.
_DRAIN_SECONDS = 5.0
_CHUNK = 1 << 16
# How much is kept of a line that never ends.
_LONGEST_LINE = 1 << 16
_LONGEST_FOUND = 500
_TRACEBACK = "Traceback (most recent call last):"


def run(
    words: Sequence[str],
    folder: Path,
    cwd: Path,
    env: Mapping[str, str] | None,
    stdout: IO[Any] | None,
    errors: str | None,
    memory: object,
) -> None:
    """Run a program to its end, with a line in the log before and after. Raise JobFailed.

    `folder` is the job's own, `memory` is MEMORY in config.py, the rest as in Job.run.
    """
    job_log.write_own(f"running: {shown(words)}")
    started = time.monotonic()
    kills = machine_health.oom_kills()
    with Search(errors) if errors else contextlib.nullcontext() as search:
        log = search.write if search else None
        code = _start(words, folder, cwd, env, stdout, log).wait()
    name = process_tree.signal_name(-code) if code < 0 else None
    how = f"by {name}" if name else f"with exit code {code}"
    seconds = time.monotonic() - started
    job_log.write_own(f"ended: {_quoted(words[0])} {how} after {seconds:.1f} s")
    if name:
        now = machine_health.oom_kills()
        if name == "SIGKILL" and now is not None and kills is not None and now > kills:
            reason = machine_health.out_of_memory(words[0], memory)
            raise JobFailed(reason, cause="out_of_memory", signal=name)
        raise JobFailed(f"{words[0]} was ended by {name}", cause="signal", signal=name)
    if search and search.found:
        raise JobFailed(f"{words[0]}: {search.found}", cause="output_match", exit_code=code)
    if code > 0:
        reason = f"{words[0]} exited with code {code}"
        raise JobFailed(reason, cause="exit_code", exit_code=code)


def _start(
    words: Sequence[str],
    folder: Path,
    cwd: Path,
    env: Mapping[str, str] | None,
    stdout: IO[Any] | None,
    log: int | None,
) -> subprocess.Popen[Any]:
    program = words[0]
    if not cwd.is_dir():
        reason = f"{program} cannot start in {cwd}: there is no such folder"
        raise JobFailed(reason, cause="exception")
    try:
        return subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log if stdout is None else stdout,
            stderr=log,
            preexec_fn=partial(_be_program, os.getpid()),
        )
    except ValueError as error:
        raise JobFailed(f"{program} cannot be started: {error}", cause="exception") from None
    except OSError as error:
        reason = f"{program} cannot be started: {error.strerror}"
        if error.errno in (errno.E2BIG, errno.ENAMETOOLONG):
            raise JobFailed(reason, cause="exception") from None
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC):
            raise JobFailed(reason, cause="machine_error", machine=True) from None
        if isinstance(error, FileNotFoundError):
            reason = f"{program}: program not found in the image"
        # Another attempt would not find it either. One that is not among the job's own files is
        # missing for the next job too: a machine accepts no more jobs after several in a row.
        own = os.sep in program and folder.resolve() in (cwd / program).resolve().parents
        raise JobFailed(reason, retry=False, cause="missing_program", machine=not own) from None


def _be_program(parent: int) -> None:
    process_tree.die_with_parent(parent)
    machine_health.be_ended_first(machine_health.PROGRAM_ENDS)


def shown(words: Sequence[str]) -> str:
    """Return the command as a shell would take it, in one line of bounded length.

    Of a very long one the first and the last arguments, with how many are left out.
    """
    quoted = [_quoted(word) for word in words[: LONGEST // 2]]
    if len(quoted) == len(words) and sum(map(len, quoted)) + len(quoted) <= LONGEST:
        return " ".join(quoted)
    # At least the program, however long it is.
    first = _as_many_as_fit(quoted, LONGEST - _END) or [quoted[0][: LONGEST - _END]]
    rest = words[len(first) :]
    last = _as_many_as_fit([_quoted(word) for word in rest[: -LONGEST // 2 : -1]], _END)
    left_out = f"... ({len(rest) - len(last):,} more) ..."
    return " ".join([*first, left_out, *reversed(last)])


def _as_many_as_fit(quoted: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for word in quoted:
        room -= len(word) + 1
        if room < 0:
            break
        kept.append(word)
    return kept


def _quoted(word: str) -> str:
    """Return the word quoted, in one line even if it has several: by bash's own escapes."""
    if len(word) > _LONGEST_WORD:
        half = _LONGEST_WORD // 2
        word = f"{word[:half]}...{word[-half:]}"
    if not _CONTROL.search(word):
        return shlex.quote(word)
    text = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_CONTROL.sub(lambda found: _SHORT.get(found[0]) or _escape(found[0]), text)}'"


def _escape(character: str) -> str:
    return f"\\x{ord(character):02x}"


class Search:
    """A way to the job's log: within the with block the program writes to `write`.

    `found` is the first line that matches, "" if none does. If a Python traceback follows that
    line, or begins with it, the traceback's last line says what went wrong.
    """

    def __init__(self, pattern: str) -> None:
        self.found = ""
        # Whether the next line may begin a traceback that belongs to it, or is inside that.
        self._may_begin = self._within = False
        self._pattern = re.compile(pattern)
        self._read, self.write = os.pipe()
        self._thread = threading.Thread(target=self._pass_on, daemon=True)

    def __enter__(self) -> Search:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.write)
        self._thread.join(_DRAIN_SECONDS)

    def _pass_on(self) -> None:
        rest = b""
        while True:
            data = os.read(self._read, _CHUNK)
            with contextlib.suppress(OSError):  # a job may have closed its output
                _write_all(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._look(line)
            if not data:
                self._look(rest)
                os.close(self._read)
                return
            rest = rest[-_LONGEST_LINE:]

    def _look(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if self._may_begin:
            self._may_begin, self._within = False, text == _TRACEBACK
        elif self._within:
            self._within = text.startswith(" ")
            if not self._within:
                both = text if self.found == _TRACEBACK else f"{self.found}: {text}"
                self.found = both[:_LONGEST_FOUND]
        elif not self.found and self._pattern.search(text.strip()):
            self.found = text.strip()[:_LONGEST_FOUND]
            self._within = self.found == _TRACEBACK
            self._may_begin = not self._within


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
