"""Regular layouts: plates, wells, sites, any grid."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Iterator, Mapping, Sequence

from control.errors import UserError

# Rows and columns of the plates on sale (ANSI SLAS 4 and the smaller ones' usual layout).
PLATES = {6: (2, 3), 12: (3, 4), 24: (4, 6), 48: (6, 8), 96: (8, 12), 384: (16, 24), 1536: (32, 48)}
_LETTERS = string.ascii_uppercase
# 26 rows of one letter, then AA..AZ: more than any plate has.
ROW_NAMES = (*_LETTERS, *(f"A{letter}" for letter in _LETTERS))
_WELL = re.compile(r"([A-Za-z]{1,2})0*([1-9]\d?)")


def combinations(lists: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Yield every combination of one value of each list, the last list varying fastest."""
    for values in itertools.product(*lists.values()):
        yield dict(zip(lists, values, strict=True))


def values(text: str) -> list[str]:
    """Return the values of a comma-separated list. Raise UserError if it has none."""
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise UserError(
            f"The list '{text}' has no value.", "Give at least one, such as Plate1,Plate2."
        )
    return _each_once(found)


def numbers(text: str) -> list[str]:
    """Return values like `values`, with ranges: `1-9`, or `01-12`, which keeps the zeros."""
    return _each_once([number for word in values(text) for number in _number_range(word)])


def rows(text: str) -> list[str]:
    """Return rows of a plate, with ranges: `A-H`, or `A,C,Y-AB`."""
    found: list[str] = []
    for word in values(text):
        first, _, last = word.upper().partition("-")
        begin, end = _row_number(first, word), _row_number(last or first, word)
        found += ROW_NAMES[begin : end + 1] if begin <= end else _backwards(word)
    return _each_once(found)


def plate_wells(size: int, *, pad: bool = True) -> list[str]:
    """Return all wells of a plate by row: A01 .. H12, or A1 .. H12 without `pad`."""
    row_count, column_count = _layout(size)
    return rectangle(ROW_NAMES[:row_count], range(1, column_count + 1), pad=pad)


def rectangle(row_names: Sequence[str], columns: Sequence[int], *, pad: bool = True) -> list[str]:
    """Return the wells of all these rows and columns by row."""
    return [_well_name(row, column, pad) for row in row_names for column in columns]


def wells(text: str, *, pad: bool = True, size: int | None = None) -> list[str]:
    """Return wells by name, with leading zeros if `pad`.

    A range is a rectangle: `B2-G11` is a 96-well plate without its edge. Raise UserError for a
    name that is not a well, or not one of a plate of `size` wells.
    """
    found = []
    for word in values(text):
        first, _, last = word.partition("-")
        (top, left), (bottom, right) = _well(first, word, size), _well(last or first, word, size)
        if top > bottom or left > right:
            _backwards(word)
        found += rectangle(ROW_NAMES[top : bottom + 1], range(left, right + 1), pad=pad)
    return _each_once(found)


def _well(name: str, word: str, size: int | None) -> tuple[int, int]:
    match = _WELL.fullmatch(name.strip())
    if not match:
        raise UserError(
            f"'{word}' is not a well.", "Write wells as A01 or A1, and a rectangle as B2-G11."
        )
    row, column = _row_number(match[1], word), int(match[2])
    row_count, column_count = _layout(size) if size else (len(ROW_NAMES), 99)
    if row >= row_count or column > column_count:
        raise UserError(
            f"'{word}' is not on a plate of {size} wells.",
            f"Its wells are A1 to {ROW_NAMES[row_count - 1]}{column_count}.",
        )
    return row, column


def _well_name(row: str, column: int, pad: bool) -> str:
    return f"{row}{column:02d}" if pad else f"{row}{column}"


def _layout(size: int) -> tuple[int, int]:
    if size not in PLATES:
        raise UserError(
            f"There is no layout for plates of {size} wells.",
            f"Give one of {', '.join(map(str, PLATES))}, or rows and columns.",
        )
    return PLATES[size]


def _row_number(name: str, word: str) -> int:
    name = name.strip().upper()
    if name not in ROW_NAMES:
        raise UserError(f"'{word}' is not a row of a plate.", "Rows are A to Z, then AA, AB ...")
    return ROW_NAMES.index(name)


def _number_range(word: str) -> list[str]:
    match = re.fullmatch(r"(\d+)\s*-\s*(\d+)", word)
    if not match:
        return [word]
    first, last = match.groups()
    if int(first) > int(last):
        _backwards(word)
    width = len(first) if first.startswith("0") else 0
    return [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]


def _backwards(word: str) -> list[str]:
    raise UserError(f"The range '{word}' is reversed.", "Write the smaller end first.")


def _each_once(found: list[str]) -> list[str]:
    return list(dict.fromkeys(found))
