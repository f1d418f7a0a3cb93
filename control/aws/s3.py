"""S3: listings of many keys, and JSON objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus
from xml.sax.saxutils import unescape

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FOR_URLS = b"<EncodingType>url</EncodingType>"
# With a star for the service it precedes botocore's own search of S3's answers for errors, which
# takes as long as the listing.
_EVENT = "before-parse.*.ListObjectsV2"
_ENTRIES = "DistributedSomethingEntries"
# Whether this thread reads the listing here; botocore reads others.
_ours: ContextVar[bool] = ContextVar("_ours", default=False)


class Entry(NamedTuple):
    """A key, and when its object was written: UTC in S3's form, '2026-01-31T12:30:00.000Z'."""

    key: str
    written: str


def region_of(s3: S3Client, bucket: str) -> tuple[str, int]:
    """Return (region of a bucket, 200), or (its region or "", the HTTP status of S3's refusal).

    The status is 301 (another region), 403 (no permission) or 404 (no bucket).
    """
    try:
        return s3.head_bucket(Bucket=bucket).get("BucketRegion", ""), 200
    except ClientError as error:
        metadata: Any = error.response["ResponseMetadata"]
        if metadata["HTTPStatusCode"] not in (301, 403, 404):
            raise
        headers = metadata.get("HTTPHeaders", {})
        return headers.get("x-amz-bucket-region", ""), metadata["HTTPStatusCode"]


def list_entries(s3: S3Client, bucket: str, prefix: str) -> Iterator[Entry]:
    """Yield the entries with a prefix in the order of keys, a page of 1,000 at a time."""
    for page, _ in list_pages(s3, bucket, prefix):
        yield from page


def list_pages(s3: S3Client, bucket: str, prefix: str) -> Iterator[tuple[list[Entry], bool]]:
    """Yield the entries with a prefix by pages, each with whether more follow."""
    s3.meta.events.register(_EVENT, _read, unique_id=_ENTRIES)
    token: dict[str, str] = {}
    while True:
        reset = _ours.set(True)
        try:
            answer: Any = s3.list_objects_v2(
                Bucket=bucket,
                Prefix=prefix,
                **token,  # type: ignore[arg-type]
            )
        finally:
            _ours.reset(reset)
        more = bool(answer["IsTruncated"])
        yield answer[_ENTRIES], more
        if not more:
            return
        token = {"ContinuationToken": answer["NextContinuationToken"]}


def _read(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Take the entries from an answer before botocore parses the rest of it."""
    if not _ours.get() or response_dict["status_code"] != 200:
        return
    body: bytes = response_dict["body"]
    coded = _FOR_URLS in body
    left, *contents = body.split(b"<Contents>")
    found = []
    for content in contents:
        xml, _end, after = content.partition(b"</Contents>")
        left += after
        found.append(_entry(xml, coded))
    customized_response_dict[_ENTRIES] = found
    response_dict["body"] = left


def _entry(xml: bytes, coded: bool) -> Entry:
    key = _value(xml, b"<Key>", b"</Key>")
    if "&" in key:
        key = unescape(key, {"&quot;": '"', "&apos;": "'"})
    if coded:
        key = unquote_plus(key)
    return Entry(key, _value(xml, b"<LastModified>", b"</LastModified>"))


def _value(xml: bytes, begin: bytes, end: bytes) -> str:
    """Each entry has both; ValueError if not."""
    start = xml.index(begin) + len(begin)
    return xml[start : xml.index(end, start)].decode()


def put_json(s3: S3Client, bucket: str, key: str, content: Any, **conditions: Any) -> str:
    """Write `content` as JSON; return the ETag."""
    body = json.dumps(content, indent=1, ensure_ascii=False).encode()
    answer = s3.put_object(
        Bucket=bucket, Key=key, Body=body, ContentType="application/json", **conditions
    )
    return answer["ETag"]


def list_keys(s3: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    """Yield the keys with a prefix in order, a page of 1,000 at a time."""
    return (entry.key for entry in list_entries(s3, bucket, prefix))
