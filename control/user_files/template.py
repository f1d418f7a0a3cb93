"""Templates of job files: placeholders filled from a table."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from control.errors import UserError

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
Fill = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Template:
    """The values that all jobs share, and a function from a job's values to its group."""

    shared: dict[str, Any]
    group: Fill


def read(message: Mapping[str, Any], names: Collection[str], name: str = "") -> Template:
    """Read `message` as a template for values called `names`.

    Without a "group" in it, a group is the values themselves. `name` is a text with placeholders
    for the jobs' names; without it a job is named by its group, or by its values if a value from
    outside "group" came into it. Raise UserError for placeholders that are not among `names`.
    """
    if "groups" in message:
        raise UserError(
            'A template holds one "group", this one holds "groups".',
            'Keep one of them, with placeholders, and call it "group": {...}.',
        )
    outer = {key: value for key, value in message.items() if key != "group"}
    compiled = {key: _compile(value, names) for key, value in outer.items()}
    shared = {key: fill({}) for key, (varies, fill) in compiled.items() if not varies}
    moved = {key: fill for key, (varies, fill) in compiled.items() if varies}
    group = message.get("group", {key: "{" + key + "}" for key in names})
    if not isinstance(group, dict):
        raise UserError(
            '"group" of the template is not an object.', 'Write "group": {"key": "value"}.'
        )
    fill_group = _compile(group, names)[1]
    if name:
        moved["name"] = _compile(name, names)[1]
    elif moved and "name" not in group:
        moved["name"] = lambda values: "-".join(str(value) for value in values.values())

    def fill_all(values: Mapping[str, Any]) -> dict[str, Any]:
        return {**fill_group(values), **{key: fill(values) for key, fill in moved.items()}}

    return Template(shared, fill_all)


def _compile(value: Any, names: Collection[str]) -> tuple[bool, Fill]:
    """Return whether the value has placeholders, and a function that fills them."""
    if isinstance(value, str):
        return _compile_text(value, names)
    if isinstance(value, list):
        items = [_compile(item, names) for item in value]
        return any(varies for varies, _ in items), lambda given: [fill(given) for _, fill in items]
    if isinstance(value, dict):
        pairs = {key: _compile(item, names) for key, item in value.items()}
        varies = any(one for one, _ in pairs.values())
        return varies, lambda given: {key: fill(given) for key, (_, fill) in pairs.items()}
    return False, lambda given: value


def _compile_text(text: str, names: Collection[str]) -> tuple[bool, Fill]:
    parts: list[str | tuple[str, str]] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts.append(text[end : token.start()])
        end = token.end()
        if token[0] in ("{{", "}}"):
            parts.append(token[0][0])
        else:
            parts.append(_placeholder(token, text, names))
    parts.append(text[end:])
    places = [part for part in parts if isinstance(part, tuple)]
    if len(places) == 1 and places[0][1] == "" and text == "{" + places[0][0] + "}":
        whole = places[0][0]
        return True, lambda given: given[whole]  # a number of a table stays a number
    return bool(places), lambda given: "".join(
        part if isinstance(part, str) else _format(given[part[0]], part[1]) for part in parts
    )


def _placeholder(token: re.Match[str], text: str, names: Collection[str]) -> tuple[str, str]:
    """Return the name and format of a placeholder."""
    inside = token[1]
    if inside in names:
        return inside, ""
    name, _, form = (inside or "").partition(":")
    if name in names:
        return name, form
    close = difflib.get_close_matches(name, names, n=1)
    raise UserError(
        f"The template's '{text[:80]}' has '{token[0]}', which is not a placeholder here.",
        (f"Did you mean {{{close[0]}}}? " if close else "")
        + f"There are {', '.join('{' + n + '}' for n in names) or 'none'}; write a brace itself "
        "as {{ or }}.",
    )


def _format(value: Any, form: str) -> str:
    if not form:
        return str(value)
    try:
        # Lists and tables have numbers as text.
        return format(int(value) if form[-1] in "bdoxX" else value, form)
    except ValueError:
        raise UserError(
            f"The template's format '{form}' does not fit the value '{value}'.",
            "Write {site:02d} for a number with leading zeros, {name} for text as it is.",
        ) from None
