"""Tables of jobs: CSV, TSV and JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from control.errors import UserError
from control.text import several

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
# The longest message of SQS; csv's own limit is an eighth of it.
_FIELD_BYTES = 1024 * 1024
ENDINGS = (*_DELIMITERS, *_LINES)
# The place of the row ("line 7"), and its values by column.
Row = tuple[str, Mapping[str, Any]]


def read(path: Path) -> Iterator[Row]:
    """Yield the rows of a CSV, TSV or JSON-lines file as (where, group)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _json_lines if path.suffix.lower() in _LINES else _delimited
            yield from rows(path, file)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file.", "Check its name.") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).",
            "Save it as UTF-8; in Excel: 'CSV UTF-8 (Comma delimited)'.",
        ) from None


def _delimited(path: Path, file: TextIO) -> Iterator[Row]:
    first = file.readline()
    delimiter = _DELIMITERS.get(path.suffix.lower(), ",")
    if delimiter == "," and "," not in first and ";" in first:
        delimiter = ";"  # what Excel writes where the comma is the decimal sign
    header = next(csv.reader([first], delimiter=delimiter), [])
    if not any(header) or len(set(header)) != len(header) or "" in header:
        raise UserError(
            f"{path}, line 1: the columns need names, all different; found {header}.",
            "Name the values in the first line, one name per column.",
        )
    csv.field_size_limit(_FIELD_BYTES)
    reader = csv.reader(file, delimiter=delimiter)
    width = len(header)
    some = False
    try:
        for row in reader:
            if not any(row):
                continue
            where = f"line {reader.line_num + 1}"
            if len(row) != width:
                values, columns = several(len(row), "value"), several(width, "column")
                raise UserError(
                    f"{path}, {where}: {values} for {columns}.",
                    'Give one value per column; put values with the separator into "quotes".',
                )
            some = True
            yield where, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num + 1}: {error}.", "Correct the quotes on that line."
        ) from None
    if not some:
        raise UserError(f"{path} has no rows.", "Add one row per job below the line of names.")


def _json_lines(path: Path, file: TextIO) -> Iterator[Row]:
    some = False
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        some = True
        try:
            group = json.loads(line)
        except RecursionError:
            raise UserError(
                f"{path}, line {number}: its values are nested too deeply to be read.",
                "Put fewer lists and objects into each other.",
            ) from None
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}, line {number}: {error.msg}.", "Write one JSON object on each line."
            ) from None
        if not isinstance(group, dict):
            raise UserError(
                f"{path}, line {number}: {line.strip()[:60]} is not an object.",
                'Write one JSON object on each line: {"name of a value": "value"}.',
            )
        yield f"line {number}", group
    if not some:
        raise UserError(f"{path} has no rows.", "Write one JSON object on each line.")
