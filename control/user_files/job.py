"""A job: its body, its id and its name (contract 2)."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

LONGEST_NAME = 150
ID_DIGITS = 16
# Of the search for an order, which would not end for many equal values and a foreign name.
_MOST_STEPS = 10_000
# How much is kept of a name that is too long, before '-' and the id.
_CUT = LONGEST_NAME - ID_DIGITS - 1
_UNSAFE = re.compile(r"[^\w.=+@,-]+")
# Made once: json.dumps makes a new encoder at each call that has options.
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


class Job(NamedTuple):
    """One job as it is sent; `where` is its place in the job file, for errors."""

    id: str
    name: str
    body: str
    where: str


def make_job(shared: Mapping[str, Any], group: Mapping[str, Any], where: str) -> Job:
    """Return the job of one group. Raise ValueError for values that JSON or UTF-8 cannot hold."""
    body = _encode({**shared, "group": group})
    job_id = hashlib.sha256(body.encode()).hexdigest()[:ID_DIGITS]
    return Job(job_id, job_name(group, job_id), body, where)


def submitted_as(job_id: str, name: str, values: Mapping[str, Any]) -> Job:
    """Return a job that was submitted before, with the id and name it had then."""
    return Job(job_id, name, _encode(values), "")


def job_name(group: Mapping[str, Any], job_id: str) -> str:
    """Return the group's `name`, else its values joined by '-', safe in paths."""
    name = group.get("name")
    safe = _safe([name] if name not in (None, "") else group.values()).strip(".")
    if len(safe) > LONGEST_NAME:
        safe = f"{safe[:_CUT]}-{job_id}"
    return safe or job_id


def _safe(values: Iterable[Any]) -> str:
    text = "-".join([value if isinstance(value, str) else _as_text(value) for value in values])
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return _UNSAFE.sub("_", text)


def order_of_name(group: Mapping[str, Any], job: Job, likely: Sequence[str]) -> list[str]:
    """Return the keys of a group in an order that gives the job its name.

    A body has lost that order. `likely` is tried first. If no order explains the name, the keys
    stay as they are.
    """
    steps = iter(range(_MOST_STEPS))

    def further(chosen: list[str], left: Set[str]) -> list[str] | None:
        if not left:
            return chosen if job_name(_pick(group, chosen), job.id) == job.name else None
        for key in sorted(left):
            if next(steps, None) is None:
                return None
            begin = _safe(group[one] for one in (*chosen, key)).strip("._")[:_CUT]
            if job.name.startswith(begin) or job.name == job.id:
                found = further([*chosen, key], left - {key})
                if found is not None:
                    return found
        return None

    same = group.keys() == set(likely)
    if same and job_name(_pick(group, likely), job.id) == job.name:
        return list(likely)
    if "name" in group:
        return list(group)
    return further([], group.keys()) or list(group)


def _pick(group: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: group[key] for key in keys}


def name_hash(name: str) -> int:
    """Return 64 bits for a name: a million names need little memory, within this process."""
    return hash(name) & 0xFFFF_FFFF_FFFF_FFFF


def without_comments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same without the keys that contain `_comment`."""
    return {key: value for key, value in values.items() if "_comment" not in key}


def _as_text(value: Any) -> str:
    return _encode(value) if isinstance(value, list | dict) else str(value)
