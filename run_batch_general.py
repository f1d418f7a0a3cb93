#!/usr/bin/env python3
"""Makes jobs for regular layouts - plates x wells x sites, any lists, any table - and sends them.

python run_batch_general.py --plates P1,P2 --plate-format 384 --sites 1-9 --template message.json
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from control import cli, screen
from control.aws.session import connect
from control.command import typed
from control.config import load_config
from control.errors import UserError
from control.user_files import grid, job_file, tables, template
from control.user_files.template import Template
from control.verbs import submit
from control.verbs.local import local

_EPILOG = """\
Lists (--plates, --wells, --sites, --list) and rows of a --table are combined: one job for each
combination. A template is the message of one job, with placeholders for their values:

  {"pipeline": "analysis.cppipe", "output": "results/{plate}",
   "group": {"Metadata": "Plate={plate},Well={well},Site={site}"}}

Without a template each job's group is the values themselves. Examples:

  python run_batch_general.py --plates P1,P2 --plate-format 96 --sites 1-9 --dry-run
  python run_batch_general.py --plates P1 --wells B2-G11 --no-pad --set pipeline=a.cppipe
  python run_batch_general.py --list sample=S1,S2 --list chromosome=1-22,X,Y --output job.json
  python run_batch_general.py --table samples.csv --template message.json
"""


def main(argv: Sequence[str]) -> None:
    """Make the jobs, then show, write or send them. Raises what command.run_main explains."""
    args = _parser().parse_args(argv)
    lists = _lists(args)
    if not lists and not args.table:
        raise UserError(
            "There is nothing to make jobs from.",
            "Give lists or a table, such as --plates P1,P2 --plate-format 96; see: "
            "python run_batch_general.py --help",
        )
    message = _message(args)
    if args.output:
        _write(args, message, lists)
        return
    config = (
        load_config(args.config, embedded=True) if args.dry_run else local.load_project(args.config)
    )
    path = config.project / submit.STATE_FOLDER / f"batch-{_digest(args, message, lists)}.json"
    if args.dry_run:
        try:
            _make(path, args, message, lists)
            for line in submit.dry_run(path):
                screen.say(line)
        finally:
            for made in (path, path.with_suffix(".jsonl")):
                made.unlink(missing_ok=True)
        screen.next_command("the same command without --dry-run")
        return
    _make(path, args, message, lists)
    submit.to_live_run(connect(config), config, path, again=args.again, missing=args.missing)
    screen.next_command(typed("startCluster", "files/exampleFleet.json"))


def _write(
    args: argparse.Namespace, message: Mapping[str, Any], lists: Mapping[str, list[str]]
) -> None:
    if args.output.suffix != ".json":
        raise UserError(f"--output {args.output} is no job file.", "Give it a name in .json.")
    for path in (args.output, args.output.with_suffix(".jsonl")):
        if path.exists() and not args.overwrite:
            raise UserError(f"{path} exists already.", "Name another --output, or add --overwrite.")
    count = _make(args.output, args, message, lists)
    screen.say(f"{count:,} jobs written to {args.output}.")
    screen.next_command(typed("submitJob", shlex.quote(str(args.output))))


def _make(
    path: Path,
    args: argparse.Namespace,
    message: Mapping[str, Any],
    lists: Mapping[str, list[str]],
) -> int:
    """Write the job file at `path`; returns the number of jobs."""
    rows, names = _rows(args.table, lists)
    made = template.read(message, names, args.name)
    return job_file.write(path, made.shared, _groups(made, rows, lists))


def _groups(
    made: Template, rows: Iterator[tables.Row], lists: Mapping[str, list[str]]
) -> Iterator[Any]:
    for _, row in rows:
        for combination in grid.combinations(lists):
            yield made.group({**row, **combination})


def _rows(
    table: Path | None, lists: Mapping[str, list[str]]
) -> tuple[Iterator[tables.Row], list[str]]:
    """The rows of the table (one without values if there is none), and the names of all values."""
    if table is None:
        return iter([("", {})]), list(lists)
    if table.suffix.lower() not in tables.ENDINGS:
        raise UserError(f"{table} is no table.", f"Name a file in {', '.join(tables.ENDINGS)}.")
    rows = tables.read(table)
    first = next(rows)
    columns = list(first[1])
    both = [name for name in columns if name in lists]
    if both:
        raise UserError(
            f"{table}: '{both[0]}' is a column of the table and a list too.",
            "Leave the list out, or name it otherwise: --list NAME=VALUES.",
        )
    return _same_columns(table, itertools.chain([first], rows), set(columns)), [*columns, *lists]


def _same_columns(
    table: Path, rows: Iterator[tables.Row], columns: set[str]
) -> Iterator[tables.Row]:
    for where, row in rows:
        if set(row) != columns:
            raise UserError(
                f"{table}, {where}: its values are not those of the first line.",
                f"Give every line the values {', '.join(sorted(columns))}.",
            )
        yield where, row


def _lists(args: argparse.Namespace) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    if args.plates:
        lists["plate"] = grid.values(args.plates)
    wells = _wells(args)
    if wells:
        lists["well"] = wells
    if args.sites:
        lists["site"] = grid.numbers(args.sites)
    for text in args.list:
        name, value = _pair(text, "--list")
        if name in lists:
            raise UserError(f"The list '{name}' is given twice.", "Give all its values in one.")
        lists[name] = grid.numbers(value)
    return lists


def _wells(args: argparse.Namespace) -> list[str]:
    size, pad = args.plate_format, args.pad
    if args.wells:
        if args.rows or args.columns:
            raise UserError("--wells and --rows or --columns exclude each other.", "Drop one.")
        return grid.wells(args.wells, pad=pad, size=size)
    if not args.rows and not args.columns:
        return grid.plate_wells(size, pad=pad) if size else []
    if not size and not (args.rows and args.columns):
        raise UserError(
            "Rows without columns, or columns without rows, make no wells.",
            "Add the other, or --plate-format 96, 384 or 1536.",
        )
    row_names = grid.rows(args.rows) if args.rows else grid.ROW_NAMES[: grid.PLATES[size][0]]
    last = grid.PLATES[size][1] if size else 0
    columns = grid.numbers(args.columns or f"1-{last}")
    text = ",".join(f"{row}{column}" for row in row_names for column in columns)
    return grid.wells(text, pad=pad, size=size)


def _message(args: argparse.Namespace) -> dict[str, Any]:
    """The template file with what --set and --group put into it."""
    message = job_file.parse(args.template) if args.template else {}
    if not isinstance(message, dict):
        raise UserError(f"{args.template}: a template is one JSON object.", "Begin it with {.")
    message.update(_pair(text, "--set") for text in args.set)
    group = message.get("group", {})
    if args.group and isinstance(group, dict):
        message["group"] = {**group, **dict(_pair(text, "--group") for text in args.group)}
    return message


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"{option} {text}: there is no name.", f"Write {option} NAME=VALUE.")
    return name.strip(), value


def _digest(
    args: argparse.Namespace, message: Mapping[str, Any], lists: Mapping[str, list[str]]
) -> str:
    """The same command makes the same file, so that one broken off can go on."""
    asked = json.dumps([lists, str(args.table), message, args.name])
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="run_batch_general.py",
        description="Make jobs for regular layouts and submit them, or write a job file.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", type=Path, default=Path(), metavar="FILE_OR_FOLDER", help="default: config.py")
    of = parser.add_argument_group("what the jobs are made from")
    of.add_argument("--plates", metavar="LIST", help="{plate}: P1,P2,...")
    of.add_argument("--plate-format", type=int, choices=grid.PLATES, help="{well}: all its wells")
    of.add_argument("--wells", metavar="LIST", help="{well}: B3,C7 or a rectangle, B2-G11")
    of.add_argument("--rows", metavar="LIST", help="{well}: only these rows, A-H")
    of.add_argument("--columns", metavar="LIST", help="{well}: only these columns, 1-12")
    of.add_argument(
        "--pad", action=argparse.BooleanOptionalAction, default=True, help="wells as A01 or as A1"
    )
    of.add_argument("--sites", metavar="LIST", help="{site}: 1-9")
    of.add_argument(
        "--list", action="append", default=[], metavar="NAME=LIST", help="{NAME}: a,b,1-9"
    )
    of.add_argument("--table", type=Path, metavar="FILE", help="a .csv, .tsv or .jsonl; {COLUMN}")
    what = parser.add_argument_group("what a job is told")
    what.add_argument("--template", type=Path, metavar="FILE", help="its message; see below")
    what.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a value")
    what.add_argument(
        "--group", action="append", default=[], metavar="KEY=VALUE", help="a value of its group"
    )
    what.add_argument("--name", default="", metavar="TEXT", help="its name, {plate}-{well}")
    how = parser.add_argument_group("what happens with them (default: submit them)")
    one = how.add_mutually_exclusive_group()
    one.add_argument("--dry-run", action="store_true", help="show, send nothing")
    one.add_argument("--output", type=Path, metavar="FILE", help="write a job file, send nothing")
    how.add_argument("--overwrite", action="store_true", help="--output may exist")
    how.add_argument("--again", action="store_true", help="also those submitted in this run")
    how.add_argument("--missing", action="store_true", help="not those done in any earlier run")
    return parser


if __name__ == "__main__":
    sys.exit(cli.run_main(main, sys.argv[1:]))
