"""Multipart uploads that a killed attempt left open: S3 keeps their parts, at a price, for good."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Callable, Sequence

from plumbing.aws_clients import AWS_ERRORS
from plumbing.console import say
from plumbing.retrying import persistently
from plumbing.upload import PART, Item

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def abort_uploads(s3: S3Client, items: Sequence[Item], check: Callable[[], None]) -> None:
    """Abort the open uploads of these items' keys, and of no other: a prefix may be shared.

    Should it be that an earlier attempt is still at one of them, it must not come to its end. What
    S3 refuses to abort is said: the outputs are whole without it.
    """
    for item in items:
        if item.size > PART:
            try:
                _abort(s3, item, check)
            except AWS_ERRORS as error:
                say(f"open uploads of s3://{item.bucket}/{item.key} are left: {error}")


def _abort(s3: S3Client, item: Item, check: Callable[[], None]) -> None:
    what = f"looking for open uploads of s3://{item.bucket}/{item.key}"
    # Keys come in their order, the shortest first: the first page has all of this one.
    ask = partial(s3.list_multipart_uploads, Bucket=item.bucket, Prefix=item.key)
    for found in persistently(ask, what, check).get("Uploads", []):
        if found["Key"] == item.key:
            abort = partial(
                s3.abort_multipart_upload,
                Bucket=item.bucket,
                Key=item.key,
                UploadId=found["UploadId"],
            )
            persistently(abort, what, check)
