"""A program and its arguments as one line of a log, as a shell would take them."""

from __future__ import annotations

import re
import shlex
from typing import Sequence

# Of a line, in characters, of which UTF-8 takes four bytes at most: some arguments from the
# beginning and the last ones are enough to know a command by, and the job's values hold the rest.
LONGEST = 900
_LONGEST_WORD = 300
_END = 320
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def shown(words: Sequence[str]) -> str:
    """The command; of a very long one the first and the last arguments, with how many are left
    out between them."""
    quoted = [_quoted(word) for word in words[: LONGEST // 2]]
    if len(quoted) == len(words) and sum(map(len, quoted)) + len(quoted) <= LONGEST:
        return " ".join(quoted)
    # The program at least, however long it is.
    first = _as_many_as_fit(quoted, LONGEST - _END) or [quoted[0][: LONGEST - _END]]
    rest = words[len(first) :]
    last = _as_many_as_fit([_quoted(word) for word in rest[: -LONGEST // 2 : -1]], _END)
    left_out = f"... ({len(rest) - len(last):,} more) ..."
    return " ".join([*first, left_out, *reversed(last)])


def program(word: str) -> str:
    """The program alone."""
    return _quoted(word)


def _as_many_as_fit(quoted: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for word in quoted:
        room -= len(word) + 1
        if room < 0:
            break
        kept.append(word)
    return kept


def _quoted(word: str) -> str:
    """Within one line also where a word has several: by the escapes that bash knows."""
    if len(word) > _LONGEST_WORD:
        half = _LONGEST_WORD // 2
        word = f"{word[:half]}...{word[-half:]}"
    if not _CONTROL.search(word):
        return shlex.quote(word)
    text = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_CONTROL.sub(lambda found: _SHORT.get(found[0]) or _escape(found[0]), text)}'"


def _escape(character: str) -> str:
    return f"\\x{ord(character):02x}"
