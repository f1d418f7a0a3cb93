"""Failures grouped by reason."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
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
    """Failed jobs of one reason: as it was said if all say the same, else with what varies
    named NAME, PATH, FILE, ID and N."""

    reason: str
    records: tuple[Record, ...]


def pattern(reason: str, name: str) -> str:
    """A reason without what belongs to one job only."""
    text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "NAME", reason) if name else reason
    for variable, word in _VARIABLE:
        text = variable.sub(word, text)
    return _SPACE.sub(" ", text).strip()


def groups(records: Iterable[Record]) -> list[Group]:
    """The groups, largest first; in each the records in the order in which they came."""
    found: defaultdict[str, list[Record]] = defaultdict(list)
    said: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        key = pattern(record["reason"], record["job_name"])
        found[key].append(record)
        said[key][record["reason"]] += 1
    made = [
        Group(next(iter(said[key])) if len(said[key]) == 1 else key, tuple(some))
        for key, some in found.items()
    ]
    return sorted(made, key=lambda group: -len(group.records))
