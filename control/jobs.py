"""What a job is: its canonical body, its id and its name (contract 2)."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

LONGEST_NAME = 150
ID_DIGITS = 16
_UNSAFE = re.compile(r"[^\w.=+@,-]+")
# Built once: json.dumps makes a new encoder at each call that has options.
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


class Job(NamedTuple):
    """One job as it is sent; `where` is its place in the job file, for errors."""

    id: str
    name: str
    body: str
    where: str


def make(shared: Mapping[str, Any], group: Mapping[str, Any], where: str) -> Job:
    """The job of one group. Raises ValueError for values that JSON or UTF-8 cannot hold."""
    body = _encode({**shared, "group": group})
    job_id = hashlib.sha256(body.encode()).hexdigest()[:ID_DIGITS]
    return Job(job_id, job_name(group, job_id), body, where)


def job_name(group: Mapping[str, Any], job_id: str) -> str:
    """The job's name: the group's `name`, else its values joined by '-', safe in paths."""
    name = group.get("name")
    words = [name] if name not in (None, "") else group.values()
    text = "-".join([word if isinstance(word, str) else _as_text(word) for word in words])
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    safe = _UNSAFE.sub("_", text).strip(".")
    if len(safe) > LONGEST_NAME:
        safe = f"{safe[: LONGEST_NAME - ID_DIGITS - 1]}-{job_id}"
    return safe or job_id


def name_hash(name: str) -> int:
    """64 bits that stand for a name within this process, where a million names must be kept."""
    return hash(name) & 0xFFFF_FFFF_FFFF_FFFF


def without_comments(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same without the keys that contain `_comment`."""
    return {key: value for key, value in values.items() if "_comment" not in key}


def _as_text(value: Any) -> str:
    return _encode(value) if isinstance(value, list | dict) else str(value)
