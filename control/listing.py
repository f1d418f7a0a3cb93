"""S3: listings of many keys. Nothing of an entry is read but its key and when it was written.

botocore makes a dict of six values of each entry, by a parser of XML in Python: that is nine
tenths of the time that a listing of a million keys takes. Here two regular expressions do it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus
from xml.sax.saxutils import unescape

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONTENTS = re.compile(rb"<Contents>(.*?)</Contents>", re.DOTALL)
_FOR_URLS = b"<EncodingType>url</EncodingType>"
_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
_WRITTEN = re.compile(rb"<LastModified>(.*?)</LastModified>")
_EVENT = "before-parse.s3.ListObjectsV2"
_ENTRIES = "DistributedSomethingEntries"
# Whether the listing that this thread asks for is to be read here; others are botocore's.
_ours: ContextVar[bool] = ContextVar("_ours", default=False)


class Entry(NamedTuple):
    """A key, and when its object was written: UTC, as S3 says it, '2026-01-31T12:30:00.000Z'."""

    key: str
    written: str


def entries(s3: S3Client, bucket: str, prefix: str) -> Iterator[Entry]:
    """What lies under a prefix, in the order of keys, a page of 1,000 at a time."""
    for page, _ in pages(s3, bucket, prefix):
        yield from page


def pages(s3: S3Client, bucket: str, prefix: str) -> Iterator[tuple[list[Entry], bool]]:
    """The entries under a prefix by pages, each with whether more follow."""
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
    """Take the entries out of an answer before botocore parses the rest of it."""
    if not _ours.get() or response_dict["status_code"] != 200:
        return
    body: bytes = response_dict["body"]
    coded = _FOR_URLS in body
    customized_response_dict[_ENTRIES] = [_entry(xml, coded) for xml in _CONTENTS.findall(body)]
    response_dict["body"] = _CONTENTS.sub(b"", body)


def _entry(xml: bytes, coded: bool) -> Entry:
    key, written = _KEY.search(xml), _WRITTEN.search(xml)
    if key is None or written is None:
        raise ValueError(f"S3 lists an object without a key or a time: {xml.decode()}")
    text = key[1].decode()
    if "&" in text:
        text = unescape(text, {"&quot;": '"', "&apos;": "'"})
    return Entry(unquote_plus(text) if coded else text, written[1].decode())
