"""status: how far the run is, and why nothing runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.live import Live
from rich.table import Table
from rich.text import Text

from control import cli, screen
from control.errors import UserError
from control.explain import aws_errors
from control.model import utc
from control.monitoring import run_state
from control.records import resources, store
from control.text import (
    format_dollars,
    format_duration,
    format_hours,
    format_minute,
    several,
)
from control.verbs import next_command, project

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run
    from control.monitoring.run_state import RunState, Spent
    from control.records.progress import Left, Rate
    from control.records.resources import AccountRun

# A listing of a million records takes some seconds: they are not counted more often than this.
WATCH_SECONDS = 15
_LABEL = 10


@cli.command("status", example="status --watch")
@click.option("--all", "all_runs", is_flag=True, help="every run in the account")
@click.option("--watch", "watching", is_flag=True, help="keep showing it; Ctrl-C ends only that")
@cli.json_option
def command(where: Path, all_runs: bool, watching: bool, as_json: bool) -> None:
    """Show how far the run is, and why nothing runs."""
    if watching and (all_runs or as_json):
        other = "--all" if all_runs else "--json"
        raise UserError(f"`status` cannot combine --watch and {other}.", "Leave one out.")
    if all_runs:
        show_all(*project.connect(where), as_json=as_json)
        return
    config, aws, run = project.find_run(where)
    if watching:
        watch(aws, run)
        return
    state = show(aws, config, run, as_json=as_json)
    if not as_json:
        screen.next_command(next_step(state))


def show(aws: AWS, config: Config, run: Run, *, as_json: bool) -> RunState:
    """Show how the run is, as lines or as JSON."""
    state = run_state.look(aws, run, time.time())
    if as_json:
        _print_json(run_state.as_json(state))
        return state
    if not run.ended:
        project.say_changes(run, config)
    _say(state)
    return state


def show_all(config: Config, aws: AWS, *, as_json: bool) -> None:
    """Show every run in the account, as lines or as JSON."""
    runs = resources.runs_of_account(aws.ec2, time.time())
    if as_json:
        _print_json(all_as_json(runs, config.AWS_REGION))
    else:
        _say_all(runs, config.AWS_REGION)


def _say(state: RunState) -> None:
    if screen.is_terminal():
        screen.console().print(_grid(state))
        return
    for label, text in lines(state):
        screen.say(screen.printable(f"{label:<{_LABEL}} {text}"))


def _print_json(content: object) -> None:
    screen.answer(json.dumps(content, indent=1))


def watch(
    aws: AWS,
    run: Run,
    seconds: float = WATCH_SECONDS,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Show the state in place on a terminal, else again and again, until the run has ended.

    Requests that fail for a passing reason are repeated: this only reads.
    """
    with ExitStack() as stack:
        live = None
        if screen.is_terminal():
            live = stack.enter_context(Live(console=screen.console(), auto_refresh=False))
        while True:
            try:
                run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
                state = run_state.look(aws, run, clock())
            except (BotoCoreError, ClientError) as error:
                if not aws_errors.is_passing(error):
                    raise
                screen.say(f"AWS request failed ({error}); retrying.")
            else:
                if live:
                    live.update(_grid(state), refresh=True)
                else:
                    screen.say(screen.printable(one_line(state)))
                if run.ended:
                    return
            sleep(seconds)


def _grid(state: RunState) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in lines(state):
        grid.add_row(Text(label, "bold"), Text(screen.printable(text)))
    return grid


def lines(state: RunState) -> Iterator[tuple[str, str]]:
    """Yield what `status` shows, as (label, text)."""
    run, jobs, queue = state.run, state.jobs, state.queue
    age = format_duration(max(0.0, state.now - run.began))
    when = f"ended {format_minute(run.ended)}" if run.ended else f"set up {age} ago"
    yield "Run", f"{run.app_name} {run.run_id}, {when}, by {run.owner}"
    counted = f"{jobs.done:,} done, {jobs.others()} of {several(jobs.submitted, 'job')}"
    if state.seen is None:
        yield "Jobs", counted
    else:
        waiting = queue.visible + queue.delayed
        yield "Jobs", f"{waiting:,} waiting, {queue.in_flight:,} running, {counted}"
        yield "Machines", _machines(state)
    if state.rate:
        yield "Rate", _rate_in_words(state.rate)
    if state.left:
        yield "Left", _left_in_words(state.left)
    yield "Cost", _cost_in_words(state.spent, " so far" if not run.ended else "")
    if state.reason:
        yield "Idle", state.reason.what
        yield "Fix", state.reason.fix


def next_step(state: RunState) -> str:
    """Return the next command: that of the reason why no job runs, else what failed comes first."""
    if state.word == "ended":
        return next_command.after_the_end(state.jobs)
    if state.reason and state.reason.next:
        return state.reason.next
    return next_command.why_failed() if state.jobs.failed else next_command.to_watch()


def one_line(state: RunState) -> str:
    """Return the state in a line, for `--watch` where lines cannot be rewritten."""
    jobs, queue = state.jobs, state.queue
    left = f"; {_left_in_words(state.left)} left" if state.left else ""
    why = f"; {state.reason}" if state.reason else ""
    return (
        f"{utc(state.now)} {queue.visible + queue.delayed:,} waiting, "
        f"{queue.in_flight:,} running, {jobs.done:,} done, {jobs.others()}; "
        f"{_machines(state)}{left}{why}"
    )


def _machines(state: RunState) -> str:
    requested, up, registered = state.machines()
    service = state.seen.service if state.seen else None
    running = service.running if service else 0
    return (
        f"{requested:,} requested, {up:,} running, {registered:,} registered; "
        f"{several(running, 'container')}"
    )


def _rate_in_words(rate: Rate) -> str:
    return (
        f"{_number(rate.per_hour)} jobs an hour ({_number(rate.low)} to {_number(rate.high)}), "
        f"over the last {format_duration(rate.minutes * 60)}"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _left_in_words(left: Left) -> str:
    low, high = format_duration(left.low), left.high
    least = f"at least {low}" if math.isinf(high) else f"{low} to {format_duration(high)}"
    return f"about {format_duration(left.likely)} ({least})"


def _cost_in_words(spent: Spent, when: str) -> str:
    so_far, hourly = spent.so_far, spent.hourly
    cost, hours = format_dollars(so_far.dollars), format_hours(so_far.hours)
    text = f"{cost}{when} for {hours} machine-hours"
    if so_far.unpriced_hours:
        text += f" ({format_hours(so_far.unpriced_hours)} of them at a price that is not known)"
    if hourly:
        text += f", ${hourly:.2f} an hour now"
    if spent.expected:
        low, high = spent.expected
        text += f", ${low:.2f} to ${high:.2f} at the end"
    return text


def _say_all(runs: Sequence[AccountRun], region: str) -> None:
    if not runs:
        screen.say(f"No run in {region} has machines or has requested any.")
        return
    if screen.is_terminal():
        screen.console().print(_all_table(runs))
    else:
        for row in (_HEADS, *(_row(run) for run in runs)):
            screen.say("  ".join(row))
    known = [run.hourly for run in runs if run.hourly is not None]
    screen.say(f"{several(len(runs), 'run')} in {region}: ${sum(known):.2f} an hour.")


_HEADS = ("run", "owner", "state", "machines", "$/h")


def _row(run: AccountRun) -> tuple[str, ...]:
    hourly = "?" if run.hourly is None else f"{run.hourly:.2f}"
    machines = f"{len(run.kinds)} of {run.requested}"
    # Of an ARN the end says who it is.
    owner = run.owner.rsplit(":", 1)[-1] or "?"
    return f"{run.app_name} {run.run_id}", owner, run.state, machines, hourly


def _all_table(runs: Sequence[AccountRun]) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in _HEADS:
        table.add_column(head, overflow="fold")
    for run in runs:
        table.add_row(*(Text(cell) for cell in _row(run)))
    return table


def all_as_json(runs: Sequence[AccountRun], region: str) -> dict[str, object]:
    """Return the runs as documentation/json.md describes them."""
    return {
        "region": region,
        "runs": [
            {
                "app_name": run.app_name,
                "run_id": run.run_id,
                "owner": run.owner,
                "state": run.state,
                "machines": {"requested": run.requested, "running": len(run.kinds)},
                "dollars_per_hour": None if run.hourly is None else round(run.hourly, 2),
            }
            for run in runs
        ],
    }
