"""Bring objects from S3 to the job: one key, a prefix or a list; never a bucket's root."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Sequence

from botocore.exceptions import ClientError

from plumbing import listing
from plumbing.aws_clients import CONNECTIONS, code_of
from plumbing.errors import JobFailed
from plumbing.parallel import each
from plumbing.paths import inside
from plumbing.retrying import persistently

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Objects of more bytes than that come in parts, several at a time.
PART = 16 << 20
PARTS_AT_ONCE = 8
# So much of each is in memory at a time.
PIECE = 1 << 18
_NUMBERS = itertools.count()


def fetch_one(
    s3: S3Client,
    bucket: str,
    name: str,
    folder: Path,
    check: Callable[[], None],
    only: str | None = None,
    sizes: list[int] | None = None,
) -> Path:
    """Fetch the key `name`, or all below it if it is a prefix; returns the file or folder.

    A key becomes a file in `folder` with the last part of its name; a prefix fills `folder` with
    what lies below it. With `only` it is a prefix, of which just what matches is fetched. `sizes`
    takes the bytes of each file. Raises JobFailed that names what is missing.
    """
    sizes = [] if sizes is None else sizes
    if not name.strip("/"):
        raise JobFailed(
            "download needs a key or a prefix: '' would be the whole bucket", retry=False
        )
    if only is None and not name.endswith("/"):
        target = inside(folder, name.rpartition("/")[2])
        if _fetch_key(s3, bucket, name, target, check, sizes):
            return target
    prefix = name if name.endswith("/") else f"{name}/"
    keys = [key for key in list_keys(s3, bucket, prefix, check) if not key.endswith("/")]
    if not keys:
        raise JobFailed(f"there is neither s3://{bucket}/{name} nor anything below it", retry=False)
    wanted = [key for key in keys if only is None or _matches(key[len(prefix) :], only)]
    if not wanted:
        raise JobFailed(
            f"of {len(keys)} files below s3://{bucket}/{prefix} none matches {only}", retry=False
        )
    pairs = [(key, inside(folder, key[len(prefix) :])) for key in wanted]
    _fetch_all(s3, bucket, pairs, check, sizes)
    return folder


def _matches(name: str, pattern: str) -> bool:
    """As --include of `aws s3 cp`: * also stands for slashes."""
    return fnmatch.fnmatchcase(name, pattern)


def fetch_list(
    s3: S3Client,
    bucket: str,
    keys: Sequence[str],
    folder: Path,
    check: Callable[[], None],
    sizes: list[int] | None = None,
) -> list[Path]:
    """Fetch these keys, several at a time; returns the files in the same order."""
    wanted = [(key, inside(folder, key.rpartition("/")[2])) for key in keys]
    if len({path for _, path in wanted}) < len(set(keys)):
        raise JobFailed(
            "two keys of the list end in the same name: download them to two folders", retry=False
        )
    _fetch_all(s3, bucket, wanted, check, [] if sizes is None else sizes)
    return [path for _, path in wanted]


def list_keys(s3: S3Client, bucket: str, prefix: str, check: Callable[[], None]) -> list[str]:
    """All keys below `prefix`, however many."""
    return [entry["Key"] for page in listing.pages(s3, bucket, prefix, check) for entry in page]


def _fetch_all(
    s3: S3Client,
    bucket: str,
    wanted: Sequence[tuple[str, Path]],
    check: Callable[[], None],
    sizes: list[int],
) -> None:
    def fetch(pair: tuple[str, Path]) -> None:
        key, path = pair
        if not _fetch_key(s3, bucket, key, path, check, sizes):
            raise JobFailed(f"s3://{bucket}/{key} does not exist", retry=False)

    each(fetch, wanted, CONNECTIONS)


def _fetch_key(
    s3: S3Client,
    bucket: str,
    key: str,
    path: Path,
    check: Callable[[], None],
    sizes: list[int],
) -> bool:
    """Fetch one object; False if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, which is never too long nor that of another.
    partial = path.with_name(f".{os.getpid()}-{next(_NUMBERS)}.part")

    def call() -> tuple[int, str]:
        # Not "with body": botocore gives its raw stream to that, and its errors then to us.
        answer = s3.get_object(Bucket=bucket, Key=key)
        size, etag = answer["ContentLength"], answer["ETag"]
        with contextlib.closing(answer["Body"]) as body, open(partial, "wb") as file:
            if size <= PART:
                shutil.copyfileobj(body, file, PIECE)
        return size, etag

    what = f"download of s3://{bucket}/{key}"
    try:
        size, etag = persistently(call, what, check)
        if size > PART:
            _fetch_parts(s3, bucket, key, partial, size, etag, check)
    except ClientError as error:
        if code_of(error) == "NoSuchKey":
            return False
        if code_of(error) in ("NoSuchBucket", "AccessDenied"):
            raise JobFailed(f"{what}: {error}") from error
        raise
    os.replace(partial, path)
    sizes.append(size)
    return True


def _fetch_parts(
    s3: S3Client,
    bucket: str,
    key: str,
    path: Path,
    size: int,
    etag: str,
    check: Callable[[], None],
) -> None:
    """Fill `path` by ranges; IfMatch sees to it that all are of the same object."""
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

            persistently(call, f"download of s3://{bucket}/{key} from byte {start}", check)

        os.ftruncate(file.fileno(), size)
        each(fetch, range(0, size, PART), PARTS_AT_ONCE)
