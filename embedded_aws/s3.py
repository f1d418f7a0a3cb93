"""moto's S3 with atomic conditional writes, and listings that cost what they return.

moto checks and writes in two steps (S3 guide, conditional-requests), and walks and sorts all keys
of the bucket for each page. Here one lock joins the steps, and the names are kept in order.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

import moto.s3.models as models
import moto.s3.responses as responses
from moto.s3.exceptions import InvalidContinuationToken
from moto.s3.utils import _VersionedKeyStore

_writing = threading.Lock()


def install() -> None:
    """Make moto's server use it. Call this before the first request."""
    # Not in the table of paths, as with other services: moto reads that one again from its module.
    vars(responses)["S3Response"] = S3Actions
    vars(models)["_VersionedKeyStore"] = SortedKeys
    setattr(models.S3Backend, list_objects_v2.__name__, list_objects_v2)


class S3Actions(responses.S3Response):
    """Of several conditional writes of one key at the same time, exactly one succeeds."""

    def put_object(self) -> Any:
        """Answer PutObject, with If-Match and If-None-Match."""
        with _writing:
            return super().put_object()

    def _key_response_post(self, request: Any, *args: Any) -> Any:
        """Answer CompleteMultipartUpload, with If-None-Match, among others."""
        with _writing:
            return super()._key_response_post(request, *args)


class SortedKeys(_VersionedKeyStore):
    """moto's keys of a bucket, which can also be walked in order, starting at any name."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._order: list[str] = []
        self._new: list[str] = []
        self._known: set[str] = set()

    def _note(self, key: str) -> None:
        with self._lock:
            if key not in self._known:
                self._known.add(key)
                self._new.append(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._note(key)
        super().__setitem__(key, value)

    def setlist(self, key: str, list_: Any) -> None:
        """Set all versions of a key."""
        self._note(key)
        super().setlist(key, list_)

    def walk(self, prefix: str, after: str) -> Iterator[tuple[str, Any]]:
        """Yield names with the prefix after `after`, in UTF-8 order, with their newest version."""
        with self._lock:
            if self._new:
                # A new list: other threads may be walking the old one. Two sorted runs sort fast.
                self._order = sorted(self._order + self._new)
                self._new = []
            order = self._order
        for position in range(
            max(bisect_left(order, prefix), bisect_right(order, after)), len(order)
        ):
            if not order[position].startswith(prefix):
                return
            found = self.get(order[position])
            if found is not None:
                yield order[position], found


def _behind(prefix: str) -> str:
    """Return the first text that comes after all that start with the prefix."""
    return prefix + chr(0x10FFFF)


def list_objects_v2(
    self: Any,
    bucket: Any,
    prefix: str | None,
    delimiter: str | None,
    continuation_token: str | None,
    start_after: str | None,
    max_keys: int,
) -> tuple[list[Any], bool, str | None]:
    """Answer ListObjectsV2: keys and common prefixes in one order (botocore: s3.ListObjectsV2)."""
    prefix = prefix or ""
    after = start_after or ""
    if continuation_token:
        if continuation_token not in self._pagination_tokens:
            raise InvalidContinuationToken
        after = self._pagination_tokens[continuation_token]
    found: list[Any] = []
    seen = _folder(after, prefix, delimiter) == after
    walk = bucket.keys.walk(prefix, _behind(after) if seen else after)
    while len(found) <= max_keys and (entry := next(walk, None)) is not None:
        name, key = entry
        if isinstance(key, models.FakeDeleteMarker):
            continue
        folder = _folder(name, prefix, delimiter)
        found.append(key if folder is None else folder)
        if folder is not None:
            walk = bucket.keys.walk(prefix, _behind(folder))
    page: tuple[list[Any], bool, str | None] = self._truncate_result(found, max_keys)
    return page


def _folder(name: str, prefix: str, delimiter: str | None) -> str | None:
    if not delimiter:
        return None
    end = name.find(delimiter, len(prefix))
    return None if end < 0 else name[: end + len(delimiter)]
