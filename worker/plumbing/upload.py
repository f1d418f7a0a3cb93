"""Bring a job's outputs to S3, several files and several parts of large files at a time."""

from __future__ import annotations

import contextlib
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence

from botocore.exceptions import ClientError

from plumbing.aws_clients import AWS_ERRORS, CONNECTIONS, QUICK_CONNECTIONS, code_of
from plumbing.errors import JobFailed
from plumbing.parallel import each
from plumbing.paths import key_of
from plumbing.quick_put import QuickPuts
from plumbing.retrying import persistently

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Larger files are sent in parts of at least that many bytes.
PART = 8 << 20
# Each is held in memory.
PARTS_AT_ONCE = 8
# S3 takes up to 10,000 parts (CreateMultipartUpload).
MOST_PARTS = 10_000
# Files of up to so many bytes are read at once: boto3 then sends them with their request instead
# of asking first whether S3 wants them.
SMALL = 1 << 20
# So many of them are worth connections of their own.
MANY = 64
# Arguments of CreateMultipartUpload that each of its parts needs again.
_ALSO_FOR_PARTS = ("RequestPayer",)
# What CompleteMultipartUpload takes of the answer to UploadPart.
_SUMS = ("ETag", "ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME")


@dataclass(frozen=True)
class Item:
    """One file and where it goes."""

    path: Path
    bucket: str
    key: str
    size: int
    arguments: Mapping[str, Any]


def items_of(
    folder: Path,
    bucket: str,
    prefix: str,
    arguments: Mapping[str, Any],
    say: Callable[[str], None],
) -> list[Item]:
    """Every file below `folder`, as `aws s3 cp --recursive` would take them.

    A link to a file is followed, one to a folder is not; what is not uploaded is said.
    """
    items = []
    keys: dict[str, Path] = {}
    for path in _files(folder, say):
        key = f"{prefix}/{key_of(path, folder)}"
        if keys.setdefault(key, path) != path:
            raise JobFailed(f"{keys[key].name!r} and {path.name!r} would both be {key}")
        items.append(Item(path, bucket, key, path.stat().st_size, _typed(path, arguments)))
    return items


def send_all(s3: S3Client, items: Sequence[Item], check: Callable[[], None]) -> None:
    """Send every item. `check` is asked before each request and raises to end it all."""
    small = [item for item in items if item.size <= SMALL]
    if len(small) >= MANY:
        _send_many(s3, small, check)
    else:
        each(lambda item: _send_small(s3, item, check), small, CONNECTIONS)
    middle = [item for item in items if SMALL < item.size <= PART]
    each(lambda item: _send_whole(s3, item, check), middle, CONNECTIONS)
    for item in items:
        if item.size > PART:
            _send_parts(s3, item, check)


def _files(folder: Path, say: Callable[[str], None]) -> Iterator[Path]:
    if not folder.exists():
        return

    def refuse(error: OSError) -> None:
        raise JobFailed(f"an output folder cannot be read: {error.strerror}: {error.filename}")

    for root, folders, names in os.walk(folder, onerror=refuse):
        for name in folders:
            if os.path.islink(os.path.join(root, name)):
                say(f"not uploaded: {name} is a link to a folder")
        for name in names:
            path = Path(root, name)
            if path.is_file():
                yield path
            else:
                say(f"not uploaded: {name} is not a file, or a link to nothing")


def _typed(path: Path, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments with the type that the file's name tells, unless UPLOAD_FLAGS gives one."""
    if "ContentType" in arguments:
        return arguments
    kind, encoding = mimetypes.guess_type(path.name)
    return {**arguments, "ContentType": kind} if kind and not encoding else arguments


def _send_many(s3: S3Client, items: Sequence[Item], check: Callable[[], None]) -> None:
    quick = QuickPuts(s3, QUICK_CONNECTIONS)

    def send(item: Item) -> None:
        if quick.usable:
            check()
            if quick.put(item.bucket, item.key, item.path.read_bytes(), item.arguments):
                return
        _send_small(s3, item, check)

    try:
        each(send, items, QUICK_CONNECTIONS)
    finally:
        quick.close()


def _send_small(s3: S3Client, item: Item, check: Callable[[], None]) -> None:
    body = item.path.read_bytes()
    persistently(
        lambda: s3.put_object(Bucket=item.bucket, Key=item.key, Body=body, **item.arguments),
        f"upload to s3://{item.bucket}/{item.key}",
        check,
    )


def _send_whole(s3: S3Client, item: Item, check: Callable[[], None]) -> None:
    def call() -> None:
        with open(item.path, "rb") as file:
            s3.put_object(Bucket=item.bucket, Key=item.key, Body=file, **item.arguments)

    persistently(call, f"upload to s3://{item.bucket}/{item.key}", check)


def _send_parts(s3: S3Client, item: Item, check: Callable[[], None]) -> None:
    what = f"upload to s3://{item.bucket}/{item.key}"
    where: dict[str, Any] = {"Bucket": item.bucket, "Key": item.key}
    answer = persistently(
        lambda: s3.create_multipart_upload(**where, **item.arguments), what, check
    )
    where["UploadId"] = answer["UploadId"]
    for name in _ALSO_FOR_PARTS:
        if name in item.arguments:
            where[name] = item.arguments[name]
    size = max(PART, -(-item.size // MOST_PARTS))
    try:
        parts = _parts(s3, item, where, size, check)
        persistently(
            lambda: s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}),
            what,
            check,
        )
    except BaseException as error:
        # A repeated completion whose first answer was lost finds no upload any more.
        if code_of(error) == "NoSuchUpload" and _is_there(s3, item, check):
            return
        with contextlib.suppress(*AWS_ERRORS):
            s3.abort_multipart_upload(**where)
        raise


def _parts(
    s3: S3Client, item: Item, where: Mapping[str, Any], size: int, check: Callable[[], None]
) -> list[Any]:
    """Send all parts of an item; returns what its completion wants to know of them."""
    sent: dict[int, dict[str, Any]] = {}

    def send(number: int) -> None:
        def call() -> Any:
            with open(item.path, "rb") as file:
                file.seek((number - 1) * size)
                body = file.read(size)
            return s3.upload_part(**where, PartNumber=number, Body=body)

        what = f"upload of part {number} to s3://{item.bucket}/{item.key}"
        answer = persistently(call, what, check)
        sums = {name: answer[name] for name in _SUMS if name in answer}
        sent[number] = {**sums, "PartNumber": number}

    each(send, range(1, -(-item.size // size) + 1), PARTS_AT_ONCE)
    return [sent[number] for number in sorted(sent)]


def _is_there(s3: S3Client, item: Item, check: Callable[[], None]) -> bool:
    what = f"looking for s3://{item.bucket}/{item.key}"
    try:
        answer = persistently(lambda: s3.head_object(Bucket=item.bucket, Key=item.key), what, check)
    except ClientError:
        return False
    return answer["ContentLength"] == item.size
