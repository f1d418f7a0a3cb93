"""stop: end everything that costs money."""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from control import cli, screen
from control.aws import cloudwatch, fleet, session
from control.command import typed
from control.errors import ExplainedError
from control.model import utc
from control.monitoring import act, auto_monitor, observe
from control.records import machine_costs, resources, states, store
from control.text import several
from control.verbs import next_command, project
from control.verbs.local.environment import load_project

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import JobCounts, Run
    from control.records.resources import Resource

# Machines are listed as running for a moment after the request to end them.
_GONE_SECONDS = 120
_NAMED = 5


@cli.command("stop", example="stop")
@cli.dry_run_option
@cli.take_over_option
def command(where: Path, dry_run: bool, take_over: bool) -> None:
    """End everything that costs money; the queue stays."""
    config = load_project(where)
    aws = session.connect(config)
    who = session.caller_identity(aws.sts)
    run = store.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    if run is None:
        raise ExplainedError(
            f"{config.APP_NAME} has not been set up: there is nothing to end.",
            "Check APP_NAME and AWS_BUCKET in config.py.",
        )
    if run.ended and not any(resource.costs for resource in resources.of_run(aws, run)):
        screen.next_command(next_command.after_the_end(say_ended(aws, run)))
        return
    project.refuse_others(run, who.arn, take_over or dry_run)
    stop(aws, run, dry_run=dry_run)
    after = next_command.after_stop(run, say_unfinished(aws, run))
    screen.next_command(typed("stop") if dry_run else after)


def stop(
    aws: AWS,
    run: Run,
    *,
    dry_run: bool,
    wait: Callable[[float], object] = time.sleep,
    pause: float = 2.0,
    clock: Callable[[], float] = time.time,
) -> None:
    """List what will be ended, end it, list what is left.

    Safe to repeat. Never touches inputs, outputs, records, queues, log groups or clusters. Raise
    ExplainedError if something that costs money is still there after two minutes.
    """
    found = resources.of_run(aws, run, clock)
    going = [thing for thing in found if thing.goes]
    if not any(thing.costs for thing in found):
        screen.say("Nothing of it costs money.")
    if going:
        _say("Would be ended:" if dry_run else "Will be ended:", going)
    if dry_run:
        _say("Would be kept (no charge):", [t for t in found if not t.goes])
        return
    # First: a monitor that observes in between must not conclude that AWS ended the machines.
    run = _remember(aws, run, clock())
    for line in act.end_machines(aws, run, clock):
        screen.say(line)
    if auto_monitor.end(aws, run):
        screen.say("auto-monitor ended")
    if run.config.CLEAN_DASHBOARD:
        cloudwatch.delete_dashboard(aws.cloudwatch, run)
    _say("Kept (no charge):", _left(aws, run, wait, pause, clock))


def _remember(aws: AWS, run: Run, now: float) -> Run:
    """Record when the run was stopped, and how long its machines had been up.

    No monitor may have seen them.
    """
    machines = observe.machines_up(aws.ec2, fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run)))

    def note(known: Run) -> Run:
        grown = machine_costs.grown_machine_time(known.machine_time, machines, now)
        at = known.stopped or utc(now)
        return dataclasses.replace(known, stopped=at, machine_time=grown)

    return store.change(aws.s3, run, note)


def _left(
    aws: AWS,
    run: Run,
    wait: Callable[[float], object],
    pause: float,
    clock: Callable[[], float],
) -> list[Resource]:
    waited = 0.0
    while True:
        found = resources.of_run(aws, run, clock)
        costly = [thing for thing in found if thing.costs]
        if not costly:
            return found
        if waited >= _GONE_SECONDS:
            raise ExplainedError(
                f"Still there, and it costs money: {', '.join(map(str, costly[:_NAMED]))}"
                f"{' ...' if len(costly) > _NAMED else ''}.",
                f"Type it again in a minute: {typed('stop')}; if they stay, end them in the AWS "
                "console (EC2).",
            )
        wait(pause)
        waited += pause


def _say(title: str, things: Sequence[Resource]) -> None:
    """Print resources by kind; of many of one kind only the first few."""
    screen.say(title if things else f"{title} nothing.")
    by_kind: dict[str, list[str]] = defaultdict(list)
    for thing in things:
        by_kind[thing.kind].append(thing.name)
    for kind, names in by_kind.items():
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        screen.say(f"  {kind:<17}{', '.join(names[:_NAMED])}{more}")


def say_ended(aws: AWS, run: Run) -> JobCounts:
    """Say that there is nothing to end, and how the run's jobs ended; return their counts."""
    counts = states.count(aws.s3, run)
    screen.say(
        f"Run {run.run_id} of {run.app_name} has ended, and its machines with it: "
        f"{counts.in_words()}."
    )
    return counts


def say_unfinished(aws: AWS, run: Run) -> JobCounts:
    """Say how many jobs are unfinished; return the counts of all."""
    count = states.count(aws.s3, run)
    if count.unfinished:
        left = several(count.unfinished, "job")
        screen.say(f"{left} unfinished: what waits stays in the queue for up to 14 days.")
    else:
        screen.say(f"No job is unfinished: {count.in_words()}.")
    return count
