"""List what lies below a prefix in S3, page by page, however many pages there are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Iterator

from plumbing.retrying import persistently

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def pages(s3: S3Client, bucket: str, prefix: str, check: Callable[[], None]) -> Iterator[list[Any]]:
    """The objects below `prefix`, up to 1,000 at a time (ListObjectsV2).

    Each page is asked for persistently by itself: from the first page on again after every error,
    a listing of many pages would never come to its end while one request in three fails.
    """
    ask = partial(s3.list_objects_v2, Bucket=bucket, Prefix=prefix)
    what = f"listing s3://{bucket}/{prefix}"
    answer = persistently(ask, what, check)
    yield answer.get("Contents", [])
    while answer.get("IsTruncated"):
        next_page = partial(ask, ContinuationToken=answer["NextContinuationToken"])
        answer = persistently(next_page, what, check)
        yield answer.get("Contents", [])
