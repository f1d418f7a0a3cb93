"""moto's S3 with listings that cost what they give, not what the bucket holds.

moto walks and sorts all keys of the bucket for each page. Here the names are kept in order.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

import moto.s3.models as models
from moto.s3.exceptions import InvalidContinuationToken
from moto.s3.utils import _VersionedKeyStore


def install() -> None:
    """Make moto use it. Call it before the first request."""
    vars(models)["_VersionedKeyStore"] = SortedKeys
    setattr(models.S3Backend, list_objects_v2.__name__, list_objects_v2)


class SortedKeys(_VersionedKeyStore):
    """moto's keys of a bucket, which can also be walked in order from any name on."""

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
        """Names with the prefix that come after `after`, in UTF-8 order, with their newest version.

        `after` may be moved on by sending a name: the walk goes on behind all names that start so.
        """
        with self._lock:
            if self._new:
                # A new list, because others may be walking the old one. Two sorted runs sort fast.
                self._order = sorted(self._order + self._new)
                self._new = []
            order = self._order
        position = max(bisect_left(order, prefix), bisect_right(order, after))
        while position < len(order) and order[position].startswith(prefix):
            name = order[position]
            found = self.get(name)
            skip = None
            if found is not None:
                skip = yield name, found
            position = position + 1 if skip is None else bisect_left(order, _behind(skip))


def _behind(prefix: str) -> str:
    """The first text that comes after all that start with the prefix."""
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
    """ListObjectsV2: keys and common prefixes in one order (botocore: s3.ListObjectsV2)."""
    prefix = prefix or ""
    after = start_after or ""
    if continuation_token:
        if continuation_token not in self._pagination_tokens:
            raise InvalidContinuationToken
        after = self._pagination_tokens[continuation_token]
    found: list[Any] = []
    walk = bucket.keys.walk(
        prefix, _behind(after) if _folder(after, prefix, delimiter) == after else after
    )
    entry = next(walk, None)
    while entry is not None and len(found) <= max_keys:
        name, key = entry
        folder = _folder(name, prefix, delimiter)
        if isinstance(key, models.FakeDeleteMarker):
            entry = next(walk, None)
        elif folder is None:
            found.append(key)
            entry = next(walk, None)
        else:
            found.append(folder)
            try:
                entry = walk.send(folder)
            except StopIteration:
                entry = None
    page: tuple[list[Any], bool, str | None] = self._truncate_result(found, max_keys)
    return page


def _folder(name: str, prefix: str, delimiter: str | None) -> str | None:
    if not delimiter:
        return None
    end = name.find(delimiter, len(prefix))
    return None if end < 0 else name[: end + len(delimiter)]
