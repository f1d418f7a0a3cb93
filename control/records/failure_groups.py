"""Failures grouped by cause and reason."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
# In this order: what is within a longer thing must not be found first.
_VARIABLE = (
    (re.compile(r"(\w+://)[^\s'\"]*[^\s'\".,;:)]"), r"\1..."),
    (re.compile(r"(?<![\w./:])/?(?:[\w.+@=-]{2,}/)+[\w.+@=-]*\w"), "PATH"),
    (re.compile(r"\b[\w+@=-]+\.(?:[A-Za-z]\w{1,4})\b(?!\()"), "FILE"),
    (re.compile(r"\b(?:i-)?(?=[0-9a-f]*\d)[0-9a-f]{8,}(?:-[0-9a-f]{4,})*\b"), "ID"),
    # An exit code is what tells one failure from another.
    (re.compile(r"(?<!code )(?<!Errno )(?<![\w.-])(?:0x[0-9a-f]+|-?\d+(?:[.,]\d+)*)"), "N"),
)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Group:
    """Failed jobs of one cause and reason, which has NAME, PATH, FILE, ID and N for what varies."""

    cause: str
    reason: str
    records: tuple[Record, ...]


def pattern(reason: str, name: str) -> str:
    """Return a reason without what belongs to one job only."""
    text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "NAME", reason) if name else reason
    for variable, word in _VARIABLE:
        text = variable.sub(word, text)
    return _SPACE.sub(" ", text).strip()


def groups(records: Iterable[Record]) -> list[Group]:
    """Return the groups, largest first, each with its records in the given order."""
    found: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        found[record["cause"], pattern(record["reason"], record["job_name"])].append(record)
    made = []
    for (cause, reason), some in found.items():
        reasons = {record["reason"] for record in some}
        made.append(Group(cause, reasons.pop() if len(reasons) == 1 else reason, tuple(some)))
    return sorted(made, key=lambda group: -len(group.records))
