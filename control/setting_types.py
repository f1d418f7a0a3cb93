"""The types that a setting can have: how a value of config.py becomes one, and what to call it.

True and 'True' are the same, as in the config files of Distributed-Something.
"""

from __future__ import annotations

import math
from typing import Any


def _to_bool(value: Any) -> bool:
    if value in (True, "True", "true"):
        return True
    if value in (False, "False", "false"):
        return False
    raise ValueError


def _to_int(value: Any) -> int:
    if _to_float(value) != int(value):
        raise ValueError
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _to_text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError
    return value


def _to_list(value: Any) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else tuple(value)
    if not items or not all(isinstance(item, str) and item for item in items):
        raise ValueError
    return items


CONVERT: dict[Any, Any] = {
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    float | None: lambda value: None if value is None else _to_float(value),
    str: _to_text,
    str | None: lambda value: None if value in (None, "", "default") else _to_text(value),
    tuple[str, ...]: _to_list,
}
WORDS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    float | None: "a number or None",
    str: "text",
    str | None: "text or None",
    tuple[str, ...]: "a list of text",
}
EXAMPLES: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number such as 4",
    float: "a number such as 0.5",
    float | None: "a number such as 0.10, or None",
    str: "text in quotes",
    str | None: "text in quotes, or None",
    tuple[str, ...]: "a list of text such as ['m5.xlarge', 'm6i.xlarge']",
}
