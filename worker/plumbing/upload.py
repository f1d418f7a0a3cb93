"""Upload a job's outputs to S3, several files and several parts of large files at a time."""

from __future__ import annotations

import contextlib
import mimetypes
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence

from botocore.exceptions import ClientError

from plumbing.aws_clients import AWS_ERRORS, CONNECTIONS, QUICK_CONNECTIONS, code_of
from plumbing.aws_retries import persistently
from plumbing.console import say
from plumbing.errors import JobFailed
from plumbing.parallel import each
from plumbing.paths import key_of
from plumbing.quick_put import QuickPuts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Larger files are sent in parts of at least this many bytes.
PART = 8 << 20
# Each is held in memory.
PARTS_AT_ONCE = 8
# S3 accepts up to 10,000 parts (CreateMultipartUpload).
MOST_PARTS = 10_000
# Files of up to this many bytes are read at once: boto3 then sends them with their request instead
# of asking S3 first.
SMALL = 1 << 20
# This many of them are worth connections of their own.
MANY = 64
# Arguments of CreateMultipartUpload that each of its parts needs again.
_ALSO_FOR_PARTS = ("RequestPayer",)
# The fields of the answer to UploadPart that CompleteMultipartUpload needs.
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
    tell: Callable[[str], None],
) -> list[Item]:
    """Return every file below `folder`, as `aws s3 cp --recursive` would upload them.

    A link to a file is followed, one to a folder is not; `tell` gets a line on each file that is
    not uploaded. Raise JobFailed (bad_output).
    """
    items = []
    keys: dict[str, Path] = {}
    for path in _files(folder, tell):
        key = f"{prefix}/{key_of(path, folder)}"
        if keys.setdefault(key, path) != path:
            reason = f"{keys[key].name!r} and {path.name!r} would both be {key}"
            raise JobFailed(reason, cause="bad_output")
        items.append(Item(path, bucket, key, path.stat().st_size, _typed(path, arguments)))
    return items


def send_all(s3: S3Client, items: Sequence[Item], check: Callable[[], None]) -> None:
    """Send every item. `check` is called before each request and raises to stop the upload."""
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


def _files(folder: Path, tell: Callable[[str], None]) -> Iterator[Path]:
    if not folder.exists():
        return

    def refuse(error: OSError) -> None:
        reason = f"an output folder cannot be read: {error.strerror}: {error.filename}"
        raise JobFailed(reason, cause="bad_output")

    for root, folders, names in os.walk(folder, onerror=refuse):
        for name in folders:
            if os.path.islink(os.path.join(root, name)):
                tell(f"not uploaded: {name} is a link to a folder")
        for name in names:
            path = Path(root, name)
            if path.is_file():
                yield path
            else:
                tell(f"not uploaded: {name} is not a file, or a link to nothing")


def _typed(path: Path, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments with the content type by the file's name, unless they have one."""
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
        # When the first answer to a completion was lost, the retry finds no upload.
        if code_of(error) == "NoSuchUpload" and _is_there(s3, item, check):
            return
        with contextlib.suppress(*AWS_ERRORS):
            s3.abort_multipart_upload(**where)
        raise


def _parts(
    s3: S3Client, item: Item, where: Mapping[str, Any], size: int, check: Callable[[], None]
) -> list[Any]:
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


def abort_uploads(s3: S3Client, items: Sequence[Item], check: Callable[[], None]) -> None:
    """Abort the uploads in parts that a killed attempt left open: S3 keeps and charges the parts.

    Only those of these items' keys, since a prefix may be shared; an earlier attempt that still
    sends one must not complete it. If S3 refuses, that is logged: the outputs are whole without it.
    """
    for item in items:
        if item.size > PART:
            try:
                _abort(s3, item, check)
            except AWS_ERRORS as error:
                say(f"open uploads of s3://{item.bucket}/{item.key} are left: {error}")


def _abort(s3: S3Client, item: Item, check: Callable[[], None]) -> None:
    what = f"looking for open uploads of s3://{item.bucket}/{item.key}"
    # Keys come in order, the shortest first: the first page has all uploads of this one.
    find = partial(s3.list_multipart_uploads, Bucket=item.bucket, Prefix=item.key)
    for found in persistently(find, what, check).get("Uploads", []):
        if found["Key"] == item.key:
            abort = partial(s3.abort_multipart_upload, Bucket=item.bucket, Key=item.key)
            persistently(partial(abort, UploadId=found["UploadId"]), what, check)
