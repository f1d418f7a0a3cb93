"""The files of a report: its page and its data, on S3 and on this computer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from control import screen
from control.command import typed
from control.errors import UserError
from control.records import machine_costs, store
from control.reports import collect, report_model
from control.reports.figures import make_report
from control.reports.page import console_link, no_link, relative_link, render_page

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run
    from control.reports.collect import Record
    from control.reports.report_model import Report


class Made(NamedTuple):
    """A report, and the failed records that its page lists."""

    report: Report
    failed: list[Record]


def make(
    aws: AWS, run: Run, *, quiet: bool = False, clock: Callable[[], float] = time.time
) -> Made:
    """Read the run and make its report; `quiet` shows no progress."""
    now = clock()
    if quiet:
        reading = collect.read_run(aws.s3, run)
    else:
        with screen.progress("Reading records", 0) as advance:
            reading = collect.read_run(aws.s3, run, advance=advance)
    cost = machine_costs.so_far(aws.ec2, run.machine_time, now)
    return Made(make_report(run, reading, cost, now, local=aws.is_local), reading.failed)


def page(made: Made) -> bytes:
    """Return the page, with links to the logs of a run on AWS."""
    report = made.report
    link = no_link if report.local else console_link(report.region, report.bucket)
    return render_page(report, made.failed, link).encode()


def path_of(config: Config, run: Run) -> Path:
    """Return where the page is written by default."""
    return config.project / "reports" / f"{run.app_name}-{run.run_id}.html"


def write(path: Path, content: bytes) -> None:
    """Write a file. Raise UserError if that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        taken = isinstance(error, FileExistsError)
        why = f"{path.parent} is not a folder" if taken else error.strerror
        raise UserError(
            f"{path} cannot be written: {why}.",
            f"Name a file that you may write: {typed('report', '--output FILE')}",
        ) from None


def as_json(made: Made) -> str:
    """Return the content of report.json."""
    return json.dumps(report_model.as_json(made.report), indent=1, ensure_ascii=False)


def say_where(path: Path) -> None:
    """Print where the page is."""
    screen.say(f"Report: {os.path.relpath(path)} (open it in a browser)")


def write_at_end(aws: AWS, config: Config, run: Run) -> None:
    """Write the page of a run that has ended, to its records on S3 and here.

    report.json was written by whoever ended the run.
    """
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    content = page(make(aws, run))
    key = f"{run.prefix}report.html"
    aws.s3.put_object(Bucket=run.bucket, Key=key, Body=content, ContentType="text/html")
    path = path_of(config, run)
    write(path, content)
    say_where(path)


def write_into(output: Path, aws: AWS, run: Run) -> Path:
    """Write report.json and report.html of `local` into a folder; return the path of the page."""
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    made = make(aws, run)
    folder = output / run.prefix
    write(folder / "report.json", as_json(made).encode())
    link = relative_link(run.prefix)
    html = render_page(made.report, made.failed, link, commands=False)
    write(folder / "report.html", html.encode())
    return folder / "report.html"
