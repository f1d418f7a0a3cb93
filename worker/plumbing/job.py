"""The job as the implementer sees it in output_prefix(job) and run_job(job)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Mapping, Sequence

from plumbing import download, program
from plumbing.aws_clients import AWS_ERRORS
from plumbing.download import Downloads
from plumbing.errors import JobFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plumbing.settings import Config


@dataclass
class Job:
    """One job. `job["key"]` is the group's value, else the job file's shared one.

    `name` and `id` as in the contract; `config` has the values of config.py by name. `input_dir`
    and `output_dir` are the job's own, empty folders: downloads go to the first, and everything in
    the second is uploaded when run_job returns. Programs start in `temp_dir`.
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
        reason = f"the job file has no {key!r}, neither in this group nor shared by all"
        raise JobFailed(reason, retry=False, cause="missing_value")

    def get(self, key: str, default: Any = None) -> Any:
        """Return job["key"], or `default` for jobs that do not have it."""
        shared = default if key == "group" else self.values.get(key, default)
        return self.values["group"].get(key, shared)

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
        starts (default: job.temp_dir), `env` is its environment, and `stdout` an open file for its
        results if it prints them. Raise JobFailed unless it exits with 0; also if a line of its
        output matches the regular expression `errors`: that line is then the reason, with the last
        line of a Python traceback that it begins or that follows it.
        """
        if isinstance(command, (str, bytes)):
            raise TypeError('job.run takes a list: job.run(["program", "argument"])')
        if not command:
            raise TypeError("job.run got an empty list")
        self.downloads.report()
        words = [str(word) for word in command]
        where = Path(cwd or self.temp_dir)
        program.run(words, self.folder, where, env, stdout, errors, self.config.get("MEMORY"))

    def download(
        self,
        what: str | Sequence[str],
        *,
        to: str | Path | None = None,
        bucket: str | None = None,
        only: str | None = None,
    ) -> Any:
        """Fetch a key, everything below a prefix, or a list of keys from SOURCE_BUCKET.

        Return the path of the file, the folder, or a list of files. `to` is another folder than
        job.input_dir, inside the job's own, `bucket` another bucket. With `only`, a pattern such
        as "*_D.TIF", only the matching files below a prefix are fetched. Raise JobFailed that
        names what is missing.
        """
        if only is not None and not isinstance(what, str):
            raise TypeError("job.download: only= goes with a prefix, not with a list of keys")
        if not isinstance(what, str):
            what = list(what)
        started = time.monotonic()
        folder = self.input_dir if to is None else self._own(self.input_dir / to)
        where = (self.s3, bucket or self.source_bucket)
        fetched: Any
        try:
            if isinstance(what, str):
                fetched, sizes = download.fetch_one(*where, what, folder, only)
            else:
                fetched, sizes = download.fetch_list(*where, what, folder)
        except AWS_ERRORS as error:
            reason = f"download of {_named(where[1], what, only)}: {error}"
            raise JobFailed(reason, cause="refused_by_aws") from error
        finally:
            seconds = time.monotonic() - started
            self.download_seconds += seconds
        if what:
            self.downloads.add(_named(where[1], what, only), len(sizes), sum(sizes), seconds)
        return fetched

    def _own(self, folder: Path) -> Path:
        if self.folder.resolve() not in folder.resolve().parents:
            reason = f"{folder} is not inside the job's own folder"
            raise JobFailed(reason, retry=False, cause="exception")
        return folder


def _named(bucket: str, what: str | Sequence[str], only: str | None) -> str:
    if isinstance(what, str):
        return f"s3://{bucket}/{what}{f' ({only})' if only else ''}"
    more = f" and {len(what) - 1:,} more" if len(what) > 1 else ""
    return f"s3://{bucket}/{''.join(what[:1])}{more}"
