#!/usr/bin/env python3
"""Make jobs for regular layouts - plates x wells x sites, any lists, any table - and send them.

python run_batch_general.py --plates P1,P2 --plate-format 384 --sites 1-9 --template message.json
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

from control import cli, screen
from control.aws.session import connect
from control.command import typed
from control.config import load_config
from control.errors import UserError
from control.records.delivery import STATE_FOLDER
from control.user_files import grid, job_file, json_file, tables, template
from control.user_files.template import Template
from control.verbs import submit
from control.verbs.local.environment import load_project


def main(argv: Sequence[str]) -> int:
    """Make the jobs, then show, write or send them. Raise what cli.run_main explains."""
    return cli.invoke(command, "python run_batch_general.py", argv)


@cli.command("run_batch_general.py")
# What the jobs are made from.
@click.option("--plates", metavar="LIST", help="{plate}: P1,P2,...")
@click.option(
    "--plate-format",
    type=cli.one_of(map(str, grid.PLATES)),
    metavar="|".join(map(str, grid.PLATES)),
    help="{well}: all its wells",
)
@click.option("--wells", metavar="LIST", help="{well}: B3,C7 or a rectangle, B2-G11")
@click.option("--rows", metavar="LIST", help="{well}: only these rows, A-H")
@click.option("--columns", metavar="LIST", help="{well}: only these columns, 1-12")
@click.option("--pad/--no-pad", default=True, help="wells as A01 or as A1")
@click.option("--sites", metavar="LIST", help="{site}: 1-9")
@click.option("--list", "lists", multiple=True, metavar="NAME=LIST", help="{NAME}: a,b,1-9")
@click.option("--table", type=Path, metavar="FILE", help="a .csv, .tsv or .jsonl; {COLUMN}")
# What a job holds.
@click.option("--template", type=Path, metavar="FILE", help="the message of a job; see above")
@click.option("--set", "shared", multiple=True, metavar="KEY=VALUE", help="a value of all jobs")
@click.option("--group", multiple=True, metavar="KEY=VALUE", help="a value of a job's group")
@click.option("--name", default="", metavar="TEXT", help="a job's name, {plate}-{well}")
# What happens with them; default: submit them.
@cli.dry_run_option
@click.option("--output", type=Path, metavar="FILE", help="write a job file, send nothing")
@click.option("--overwrite", is_flag=True, help="--output may exist")
@submit.again_option
@submit.missing_option
def command(where: Path, **options: Any) -> None:
    """Make jobs for regular layouts and submit them, or write a job file.

    \b
    Lists (--plates, --wells, --sites, --list) and rows of a --table are combined:
    one job for each combination. A template is the message of one job, with
    placeholders for their values:

    \b
      {"pipeline": "analysis.cppipe", "output": "results/{plate}",
       "group": {"Metadata": "Plate={plate},Well={well},Site={site}"}}

    \b
    Without a template each job's group is the values themselves. Examples:

    \b
      python run_batch_general.py --plates P1,P2 --plate-format 96 --sites 1-9 \\
          --dry-run
      python run_batch_general.py --plates P1 --wells B2-G11 --no-pad \\
          --set pipeline=a.cppipe
      python run_batch_general.py --list sample=S1,S2 --list chromosome=1-22,X,Y \\
          --output job.json
      python run_batch_general.py --table samples.csv --template message.json
    """
    args = SimpleNamespace(**options)
    if args.dry_run and args.output:
        raise UserError("--dry-run writes no file, and --output does.", "Leave one of them out.")
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
    config = load_config(where, embedded=True) if args.dry_run else load_project(where)
    path = config.project / STATE_FOLDER / f"batch-{_digest(args, message, lists)}.json"
    if args.dry_run:
        try:
            _make(path, args, message, lists)
            submit.show(submit.read_jobs(path))
        finally:
            for made in (path, path.with_suffix(".jsonl")):
                made.unlink(missing_ok=True)
        screen.next_command("the same command without --dry-run")
        return
    _make(path, args, message, lists)
    jobs = submit.read_jobs(path)
    submit.to_live_run(connect(config), config, jobs, again=args.again, missing=args.missing)
    screen.next_command(typed("startCluster", cli.FLEET))


def _write(
    args: SimpleNamespace, message: Mapping[str, Any], lists: Mapping[str, list[str]]
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
    args: SimpleNamespace,
    message: Mapping[str, Any],
    lists: Mapping[str, list[str]],
) -> int:
    """Write the job file at `path`; return the number of jobs."""
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
    """Return the rows of the table, one without values if there is none, and all names."""
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


def _lists(args: SimpleNamespace) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    if args.plates:
        lists["plate"] = grid.values(args.plates)
    wells = _wells(args)
    if wells:
        lists["well"] = wells
    if args.sites:
        lists["site"] = grid.numbers(args.sites)
    for text in args.lists:
        name, value = _pair(text, "--list")
        if name in lists:
            raise UserError(f"The list '{name}' is given twice.", "Give all its values in one.")
        lists[name] = grid.numbers(value)
    return lists


def _wells(args: SimpleNamespace) -> list[str]:
    size, pad = int(args.plate_format) if args.plate_format else None, args.pad
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
    height, width = grid.PLATES[size] if size else (0, 0)
    row_names = grid.rows(args.rows) if args.rows else grid.ROW_NAMES[:height]
    columns = grid.numbers(args.columns or f"1-{width}")
    text = ",".join(f"{row}{column}" for row in row_names for column in columns)
    return grid.wells(text, pad=pad, size=size)


def _message(args: SimpleNamespace) -> dict[str, Any]:
    """Return the template file with what --set and --group put into it."""
    message: Any = {}
    if args.template:
        message = json_file.read(args.template, "job", "files/exampleJob.json")
    if not isinstance(message, dict):
        raise UserError(f"{args.template}: a template is one JSON object.", "Begin it with {.")
    message.update(_pair(text, "--set") for text in args.shared)
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
    args: SimpleNamespace, message: Mapping[str, Any], lists: Mapping[str, list[str]]
) -> str:
    """Return a word for a file name: the same command continues with the same file."""
    wanted = json.dumps([lists, str(args.table), message, args.name])
    return hashlib.sha256(wanted.encode()).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(cli.run_main(main, sys.argv[1:]))
