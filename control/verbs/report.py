"""report: the report of a run."""

from __future__ import annotations

from pathlib import Path

import click

from control import cli, screen
from control.command import typed
from control.reports import files
from control.verbs import project


@cli.command("report", example="report")
@click.option("--output", type=Path, metavar="FILE", help="default: in reports/")
@click.option("--json", "as_json", is_flag=True, help="print the data instead of the page")
@cli.run_option
def command(where: Path, output: Path | None, as_json: bool, run_id: str) -> None:
    """Write an HTML page: progress, failures, cost, advice."""
    config, aws, run = project.find_run(where, run_id)
    made = files.make(aws, run, quiet=as_json)
    if as_json:
        if output is None:
            screen.answer(files.as_json(made))
        else:
            files.write(output, files.as_json(made).encode())
        return
    path = output or files.path_of(config, run)
    files.write(path, files.page(made))
    files.say_where(path)
    if made.report.failed:
        screen.next_command(typed("failures"))
    elif run.ended:
        screen.next_command(f"{typed('setup')}   (begins a new run)")
    else:
        screen.next_command(typed("status"))
