"""Fetch objects from S3 for a job: one key, a prefix or a list; never a bucket's root."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import os
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Sequence

from botocore.exceptions import ClientError

from plumbing import job_log
from plumbing.aws_clients import CONNECTIONS, code_of
from plumbing.errors import JobFailed
from plumbing.parallel import each
from plumbing.paths import inside
from plumbing.retrying import list_pages, persistently

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Larger objects, in bytes, come in parts, several at a time.
PART = 16 << 20
PARTS_AT_ONCE = 8
# Bytes of each in memory at a time.
PIECE = 1 << 18
# The first downloads of a job have a line each in its log, the others share one: before the next
# program, at the end of the job, and after this many seconds, to show that the job continues.
ALONE = 10
TOGETHER_SECONDS = 60.0
_NUMBERS = itertools.count()


def fetch_one(
    s3: S3Client, bucket: str, name: str, folder: Path, only: str | None = None
) -> tuple[Path, list[int]]:
    """Fetch the key `name`, or all below it if it is a prefix.

    Return the file or folder, and the bytes of each file. A key becomes a file in `folder` with the
    last part of its name; a prefix fills `folder` with what is below it. With `only` it is a
    prefix, and only what matches is fetched. Raise JobFailed that names what is missing.
    """
    if not name.strip("/"):
        raise _missing("download needs a key or a prefix: '' would be the whole bucket")
    if only is None and not name.endswith("/"):
        target = inside(folder, name.rpartition("/")[2])
        size = _fetch_key(s3, bucket, name, target)
        if size is not None:
            return target, [size]
    prefix = name if name.endswith("/") else f"{name}/"
    keys = [key for key in list_keys(s3, bucket, prefix) if not key.endswith("/")]
    if not keys:
        raise _missing(f"there is neither s3://{bucket}/{name} nor anything below it")
    wanted = [key for key in keys if only is None or _matches(key[len(prefix) :], only)]
    if not wanted:
        raise _missing(f"none of {len(keys)} files below s3://{bucket}/{prefix} matches {only}")
    pairs = [(key, inside(folder, key[len(prefix) :])) for key in wanted]
    return folder, _fetch_all(s3, bucket, pairs)


def _matches(name: str, pattern: str) -> bool:
    """Match as --include of `aws s3 cp` does: * also stands for slashes."""
    return fnmatch.fnmatchcase(name, pattern)


def fetch_list(
    s3: S3Client, bucket: str, keys: Sequence[str], folder: Path
) -> tuple[list[Path], list[int]]:
    """Fetch these keys, several at a time; return the files in the same order, and their bytes."""
    wanted = [(key, inside(folder, key.rpartition("/")[2])) for key in keys]
    if len({path for _, path in wanted}) < len(set(keys)):
        reason = "two keys of the list end in the same name: download them to two folders"
        raise JobFailed(reason, retry=False, cause="exception")
    return [path for _, path in wanted], _fetch_all(s3, bucket, wanted)


def list_keys(s3: S3Client, bucket: str, prefix: str) -> list[str]:
    """Return all keys below `prefix`, however many."""
    return [entry["Key"] for page in list_pages(s3, bucket, prefix, _no_limit) for entry in page]


def _no_limit() -> None:
    """Allow downloads until JOB_TIMEOUT, or a lost lease, ends the job's process."""


def _missing(reason: str) -> JobFailed:
    return JobFailed(reason, retry=False, cause="missing_input")


def _fetch_all(s3: S3Client, bucket: str, wanted: Sequence[tuple[str, Path]]) -> list[int]:
    """Fetch all and return their bytes, in any order."""
    sizes: list[int] = []

    def fetch(pair: tuple[str, Path]) -> None:
        key, path = pair
        size = _fetch_key(s3, bucket, key, path)
        if size is None:
            raise _missing(f"s3://{bucket}/{key} does not exist")
        sizes.append(size)

    each(fetch, wanted, CONNECTIONS)
    return sizes


def _fetch_key(s3: S3Client, bucket: str, key: str, path: Path) -> int | None:
    """Fetch one object; return its bytes, None if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that is never too long nor another's.
    partial = path.with_name(f".{os.getpid()}-{next(_NUMBERS)}.part")

    def call() -> tuple[int, str]:
        # Not "with body": that gives us botocore's raw stream, whose errors are not botocore's.
        answer = s3.get_object(Bucket=bucket, Key=key)
        size, etag = answer["ContentLength"], answer["ETag"]
        with contextlib.closing(answer["Body"]) as body, open(partial, "wb") as file:
            if size <= PART:
                shutil.copyfileobj(body, file, PIECE)
        return size, etag

    try:
        size, etag = persistently(call, f"download of s3://{bucket}/{key}", _no_limit)
        if size > PART:
            _fetch_parts(s3, bucket, key, partial, size, etag)
    except ClientError as error:
        if code_of(error) == "NoSuchKey":
            return None
        raise
    os.replace(partial, path)
    return size


def _fetch_parts(s3: S3Client, bucket: str, key: str, path: Path, size: int, etag: str) -> None:
    """Fill `path` by ranges; IfMatch ensures that all belong to the same object."""
    with open(path, "r+b") as file:

        def fetch(start: int) -> None:
            def call() -> None:
                last = min(start + PART, size) - 1
                answer = s3.get_object(
                    Bucket=bucket, Key=key, Range=f"bytes={start}-{last}", IfMatch=etag
                )
                with contextlib.closing(answer["Body"]) as body:
                    at = start
                    for piece in body.iter_chunks(PIECE):
                        os.pwrite(file.fileno(), piece, at)
                        at += len(piece)

            what = f"download of s3://{bucket}/{key} from byte {start}"
            persistently(call, what, _no_limit)

        os.ftruncate(file.fileno(), size)
        each(fetch, range(0, size, PART), PARTS_AT_ONCE)


class Downloads:
    """Reports downloads in the job's log. A job may download in several threads."""

    def __init__(
        self,
        write: Callable[[str], object] = job_log.write_own,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._lines = 0
        self._reported = 0.0
        self._waiting: list[tuple[str, int, int, float]] = []

    def add(self, what: str, files: int, size: int, seconds: float) -> None:
        """Add a download that succeeded, with its files, bytes and seconds."""
        with self._lock:
            self._waiting.append((what, files, size, seconds))
            if self._lines < ALONE or self._clock() - self._reported >= TOGETHER_SECONDS:
                self._say()

    def report(self) -> None:
        """Report the downloads that have no line yet."""
        with self._lock:
            self._say()

    def _say(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        what, total = waiting[-1][0], ""
        if len(waiting) > 1:
            # The seconds of downloads at the same time add up.
            what, total = f"{len(waiting):,} more, the last {what}", " in all"
        files, size = sum(one[1] for one in waiting), sum(one[2] for one in waiting)
        seconds = sum(one[3] for one in waiting)
        many = "1 file" if files == 1 else f"{files:,} files"
        self._write(f"downloaded: {what}: {many}, {size / 1e6:.3f} MB in {seconds:.1f} s{total}")
        self._lines += 1
        self._reported = self._clock()
