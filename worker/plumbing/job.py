"""The job as the implementer sees it in output_prefix(job) and run_job(job)."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Mapping, Sequence

from plumbing import command_line, download, own_lines, process_tree, resources
from plumbing.downloads import Downloads
from plumbing.errors import JobFailed, MachineFault
from plumbing.process import signal_name
from plumbing.program import Search

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plumbing.settings import Config

OUT_OF_MEMORY = "out of memory"


@dataclass
class Job:
    """One job. `job["key"]` is the group's value, else the job file's shared one.

    `name` and `id` as in the contract; `config` holds config.py's values by name. `input_dir`
    and `output_dir` are empty folders of its own: downloads go to the first, and everything in
    the second is uploaded when run_job returns. `temp_dir` is where programs start.
    """

    id: str
    name: str
    values: Mapping[str, Any]
    config: Config = field(repr=False)
    folder: Path
    source_bucket: str
    s3: S3Client = field(repr=False)
    download_seconds: float = field(default=0.0, repr=False)
    downloads: Downloads = field(default_factory=Downloads, repr=False)

    @property
    def input_dir(self) -> Path:
        return self.folder / "input"

    @property
    def output_dir(self) -> Path:
        return self.folder / "output"

    @property
    def temp_dir(self) -> Path:
        return self.folder / "temp"

    @property
    def log_path(self) -> Path:
        return self.folder / "log.txt"

    def __getitem__(self, key: str) -> Any:
        group: Mapping[str, Any] = self.values["group"]
        if key in group:
            return group[key]
        if key in self.values and key != "group":
            return self.values[key]
        raise JobFailed(
            f"the job file gives no {key!r}, neither in this group nor shared by all", retry=False
        )

    def get(self, key: str, default: Any = None) -> Any:
        """Like job["key"], with a default for jobs that do not have it."""
        shared = default if key == "group" else self.values.get(key, default)
        return self.values["group"].get(key, shared)

    def _own(self, folder: Path) -> Path:
        if self.folder.resolve() not in folder.resolve().parents:
            raise JobFailed(f"{folder} is not within the job's own folder", retry=False)
        return folder

    def log(self, text: object) -> None:
        """Write a line to the job's log. print() does the same."""
        print(text, flush=True)

    def run(
        self,
        command: Sequence[object],
        *,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdout: IO[Any] | None = None,
        errors: str | None = None,
    ) -> None:
        """Run a program, given as a list of its name and arguments, and wait for it.

        There is no shell: each element reaches the program as it is. What it writes goes to the
        job's log, between two lines that name the command and how it ended. `cwd` is where it
        starts (default: job.temp_dir), `env` is its environment, and `stdout` an open file that
        takes its results if it prints them. Raises JobFailed unless it exits with 0; also if a
        line of what it prints has the regular expression `errors` in it: that line is then the
        reason, with the last line of a Python traceback that it begins or that follows it.
        """
        words = [str(word) for word in _a_list(command)]
        self.downloads.tell()
        own_lines.write(f"running: {command_line.shown(words)}")
        started = time.monotonic()
        kills = resources.oom_kills()
        with Search(errors) if errors else contextlib.nullcontext() as search:
            log = search.write if search else None
            code = self._start(words, Path(cwd or self.temp_dir), env, stdout, log).wait()
        how = f"by {signal_name(-code)}" if code < 0 else f"with exit code {code}"
        seconds = time.monotonic() - started
        own_lines.write(f"ended: {command_line.program(words[0])} {how} after {seconds:.1f} s")
        if code < 0:
            raise _killed(words[0], signal_name(-code), kills, self.config)
        if search and search.found:
            raise JobFailed(f"{words[0]}: {search.found}", exit_code=code)
        if code > 0:
            raise JobFailed(f"{words[0]} exited with code {code}", exit_code=code)

    def _start(
        self,
        words: list[str],
        cwd: Path,
        env: Mapping[str, str] | None,
        stdout: IO[Any] | None,
        log: int | None,
    ) -> subprocess.Popen[Any]:
        if not cwd.is_dir():
            raise JobFailed(f"{words[0]} cannot start in {cwd}: there is no such folder")
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
        except FileNotFoundError:
            raise self._no_program(words[0], cwd, "program not found in the image") from None
        except ValueError as error:
            raise JobFailed(f"{words[0]} cannot be started: {error}") from None
        except OSError as error:
            if error.errno in (errno.E2BIG, errno.ENAMETOOLONG):
                raise JobFailed(f"{words[0]} cannot be started: {error.strerror}") from None
            if error.errno in (errno.EACCES, errno.ENOEXEC):
                why = f"no program that can be started ({error.strerror})"
                raise self._no_program(words[0], cwd, why) from None
            raise MachineFault(f"{words[0]} cannot be started: {error.strerror}") from None

    def _no_program(self, program: str, cwd: Path, why: str) -> JobFailed:
        """Another attempt would not find it either. Of what is not among the job's own files the
        next job will not: a machine that finds out several times in a row takes no more.
        """
        is_path = os.sep in program
        own = is_path and self.folder.resolve() in (cwd / program).resolve().parents
        return (JobFailed if own else MachineFault)(f"{program}: {why}", retry=False)

    def download(
        self,
        what: str | Sequence[str],
        *,
        to: str | Path | None = None,
        bucket: str | None = None,
        only: str | None = None,
    ) -> Any:
        """Fetch a key, all below a prefix, or a list of keys from SOURCE_BUCKET.

        Returns the path of the file, the folder, or a list of files. `to` is another folder than
        job.input_dir, within the job's own, `bucket` another bucket. With `only`, a pattern such
        as "*_D.TIF", just what matches it is fetched of what lies below a prefix. Raises JobFailed
        that names what is missing.
        """
        if only is not None and not isinstance(what, str):
            raise TypeError("job.download: only= goes with a prefix, not with a list of keys")
        if not isinstance(what, str):
            what = list(what)
        started = time.monotonic()
        folder = self.input_dir if to is None else self._own(self.input_dir / to)
        where = (self.s3, bucket or self.source_bucket)
        sizes: list[int] = []
        fetched: Any
        try:
            if isinstance(what, str):
                fetched = download.fetch_one(*where, what, folder, _no_limit, only, sizes)
            else:
                fetched = download.fetch_list(*where, what, folder, _no_limit, sizes)
        finally:
            seconds = time.monotonic() - started
            self.download_seconds += seconds
        if what:
            self.downloads.add(_named(where[1], what, only), len(sizes), sum(sizes), seconds)
        return fetched


def _named(bucket: str, what: str | Sequence[str], only: str | None) -> str:
    if isinstance(what, str):
        return f"s3://{bucket}/{what}{f' ({only})' if only else ''}"
    return f"s3://{bucket}/{what[0]}{f' and {len(what) - 1:,} more' if len(what) > 1 else ''}"


def _no_limit() -> None:
    """Downloads go on until JOB_TIMEOUT, or a lost lease, ends the job's process."""


def _a_list(command: Sequence[object]) -> list[object]:
    if isinstance(command, (str, bytes)):
        raise TypeError('job.run takes a list: job.run(["program", "argument"])')
    if not command:
        raise TypeError("job.run got an empty list")
    return list(command)


def _be_program(parent: int) -> None:
    process_tree.die_with_parent(parent)
    resources.be_ended_first(resources.PROGRAM_ENDS)


def _killed(program: str, name: str, kills: int | None, config: Config) -> JobFailed:
    now = resources.oom_kills()
    if name == "SIGKILL" and now is not None and kills is not None and now > kills:
        return JobFailed(out_of_memory(program, config.get("MEMORY")), signal=name)
    return JobFailed(f"{program} was ended by {name}", signal=name)


def out_of_memory(what: str, memory: object) -> str:
    """The reason of a job that the kernel ended for want of memory."""
    limit = resources.memory_limit()
    limits = f" (limit {limit >> 20} MiB)" if limit else ""
    return f"{OUT_OF_MEMORY}: the kernel ended {what}{limits}; MEMORY is {memory or 'not set'}"
