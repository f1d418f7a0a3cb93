"""report: the report of a run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from control import cli, screen
from control.errors import UserError
from control.records import costs, store
from control.reports import collect, data
from control.reports.page import console_link, no_link, relative_link, render_page
from control.verbs import next_command, project

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run
    from control.reports.collect import Reading


@cli.command("report", example="report")
@click.option("--output", type=Path, metavar="FILE", help="default: in reports/")
@click.option("--json", "as_json", is_flag=True, help="print the data instead of the page")
@cli.run_option
def command(where: Path, output: Path | None, as_json: bool, run_id: str) -> None:
    """Write an HTML page: progress, failures, cost, advice."""
    config, aws, run = project.find_run(where, run_id)
    then = show(aws, config, run, output, as_json=as_json)
    if then:
        next_command.say(then)


class Made(NamedTuple):
    """A report as data, and what it was made from."""

    content: dict[str, Any]
    reading: Reading


def make(
    aws: AWS,
    run: Run,
    *,
    quiet: bool = False,
    config: Config | None = None,
    clock: Callable[[], float] = time.time,
) -> Made:
    """Read the run and make its report; `settings` are those that its advice is about, if not the
    run's own. `quiet` shows no progress."""
    now = clock()
    if quiet:
        reading = collect.read_run(aws.s3, run)
    else:
        with screen.progress("Reading records", 0) as advance:
            reading = collect.read_run(aws.s3, run, advance=advance)
    cost = costs.so_far(aws.ec2, run.machine_time, now)
    charged = not aws.is_local
    made = data.make(run, reading, cost, now, charged=charged, config=config)
    return Made(made, reading)


def page(aws: AWS, run: Run, made: Made) -> bytes:
    """The page about a run on AWS."""
    link = no_link if aws.is_local else console_link(run.region, run.bucket)
    return render_page(made.content, made.reading.failed, link).encode()


def path_of(config: Config, run: Run) -> Path:
    """Where the page is written if nothing else is asked for."""
    return config.project / "reports" / f"{run.app_name}-{run.run_id}.html"


def write(path: Path, content: bytes) -> None:
    """Write a file. Raises UserError if that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        taken = isinstance(error, FileExistsError)
        why = f"{path.parent} is not a folder" if taken else error.strerror
        raise UserError(
            f"{path} cannot be written: {why}.",
            "Name a file that you may write: python run.py report --output FILE",
        ) from None


def as_json(made: Made) -> str:
    """documentation/json.md."""
    return json.dumps(made.content, indent=1, ensure_ascii=False)


def put_json(made: Made, output: Path | None) -> None:
    """Write the data into a file, or to standard output."""
    if output is None:
        screen.answer(as_json(made))
    else:
        write(output, as_json(made).encode())


def show(aws: AWS, config: Config, run: Run, output: Path | None, *, as_json: bool) -> str:
    """Make the report of the verb; returns the verb to type next, "" after JSON."""
    made = make(aws, run, quiet=as_json)
    if as_json:
        put_json(made, output)
        return ""
    path = output or path_of(config, run)
    write(path, page(aws, run, made))
    _say_where(path)
    if made.content["failed"]:
        return "failures"
    return "setup   (begins a new run)" if run.ended else "status"


def _say_where(path: Path) -> None:
    screen.say(f"Report: {os.path.relpath(path)} (open it in a browser)")


def at_the_end(aws: AWS, config: Config, run: Run) -> None:
    """The page of a run that has ended, beside its other records on S3 and here.

    report.json was written by whoever ended the run.
    """
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    content = page(aws, run, make(aws, run))
    key = f"{run.prefix}report.html"
    aws.s3.put_object(Bucket=run.bucket, Key=key, Body=content, ContentType="text/html")
    path = path_of(config, run)
    write(path, content)
    _say_where(path)


def in_folder(aws: AWS, config: Config, run: Run, output: Path) -> Path:
    """report.json and report.html of `local`, beside the logs of failed jobs; returns the page."""
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    made = make(aws, run, config=config)
    folder = output / run.prefix
    write(folder / "report.json", as_json(made).encode())
    link = relative_link(run.prefix)
    html = render_page(made.content, made.reading.failed, link, commands=False)
    write(folder / "report.html", html.encode())
    return folder / "report.html"
