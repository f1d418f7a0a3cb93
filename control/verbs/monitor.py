"""monitor: watch a run, scale it in, end it."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError, ClientError

from control import cli, screen
from control.aws import cloudwatch_logs, lambda_function
from control.command import typed
from control.errors import ExplainedError
from control.explain import aws_errors, no_job
from control.model import seconds, utc
from control.monitoring import auto_monitor, observe, why_idle
from control.monitoring.facts import Observed
from control.monitoring.step import Step, step
from control.monitoring.timings import Pace
from control.records import monitor_file, outputs, states, store, submissions
from control.reports import failures, files
from control.text import several
from control.verbs import project
from control.verbs.local.environment import PACE

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.aws.sqs import Counts
    from control.model import JobCounts, Run

# How many of the jobs without a record are named.
_SHOWN = 5
_LOG_LINES = 10
# The auto-monitor is called every minute.
_SILENT_SECONDS = 300
_CHEAPEST = (
    "Cheapest: from {minutes:g} minutes after {at}, interrupted machines are not replaced until "
    "the next startCluster; running ones keep working."
)


@cli.command("monitor", example="monitor")
@click.argument("file", metavar="[FILE]", required=False)
# `monitor FILE True` is how Distributed-Something has it.
@click.argument("classic", metavar="", required=False, type=cli.one_of(["True", "False"]))
@click.option(
    "--cheapest", is_flag=True, help="after 15 minutes, stop replacing interrupted machines"
)
def command(where: Path, file: str | None, classic: str | None, cheapest: bool) -> None:
    """Watch the run, scale it in, and end it.

    FILE is what startCluster wrote; default: the newest run of APP_NAME.
    """
    named = monitor_file.read(file) if file else None
    config, aws = project.connect(where)
    run = monitor_file.run(aws.s3, named) if named else monitor_file.newest(aws.s3, config)
    if (cheapest or classic == "True") and not run.ended:
        run = be_cheapest(aws, run, time.time())
    unfinished = None
    try:
        counts = watch(aws, run, PACE if aws.is_local else Pace())
        say_end(aws, run, counts)
    except Unfinished as error:
        unfinished = error
    files.write_at_end(aws, config, run)
    if unfinished:
        counts = states.count(aws.s3, run)
    failures.say_why(aws.s3, run, counts, failures.by_verb())
    if unfinished:
        raise unfinished
    fix = f"Fix the cause ({typed('failures')} shows it), then send them again: {typed('retry')}"
    failures.raise_for_failed(counts, fix)


def be_cheapest(aws: AWS, run: Run, now: float) -> Run:
    """Have interrupted machines no longer replaced from a while after `now`; return the run.

    Only the first time counts: typed again, the while does not start again.
    """
    return store.change(
        aws.s3, run, lambda r: dataclasses.replace(r, cheapest_since=r.cheapest_since or now)
    )


class Unfinished(ExplainedError):
    """Jobs are left, and the machines were ended; `why` says that alone."""

    def __init__(self, what: str, fix: str, why: str = "") -> None:
        super().__init__(what, fix)
        self.why = why or what


def watch(
    aws: AWS,
    run: Run,
    pace: Pace,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> JobCounts:
    """Step until the run is over; return the counts at the end.

    May be stopped and started again at any moment. Raise Unfinished if jobs are left unfinished:
    their machines were ended, and it names what to do. While AWS cannot be reached or is too busy,
    wait for up to `pace.patience` seconds.
    """
    if store.load(aws.s3, run.bucket, run.app_name, run.run_id).ended:
        return states.count(aws.s3, run)
    if run.cheapest_since:
        screen.say(_CHEAPEST.format(minutes=pace.cheapest / 60, at=utc(run.cheapest_since)))
    counted, count_due = None, 0.0
    answered = clock()
    follow = _follower(aws, run)
    say_idle = _idle_sayer(aws, run, pace)
    with screen.live_status() as show:
        while True:
            now = clock()
            recent = counted if now < count_due else None
            try:
                taken = follow(now, recent) or step(aws, run, now, pace, recent)
            except (BotoCoreError, ClientError) as error:
                if not aws_errors.is_passing(error) or now - answered > pace.patience:
                    raise
                show(f"AWS request failed ({error}); retrying")
                sleep(pace.poll)
                continue
            answered = now
            if taken.seen.jobs is not counted:
                counted = taken.seen.jobs
                count_due = now + pace.listing * counted.finished / 1000
            tell = screen.say if taken.ended else show
            tell(in_words(taken.seen, run.config.DOCKER_CORES))
            for done in taken.lines:
                screen.say(f"  {done}")
            if taken.ended:
                break
            say_idle(taken.seen)
            sleep(pace.poll)
    if taken.unfinished:
        raise _unfinished(aws, run, taken)
    return taken.seen.jobs


def _idle_sayer(aws: AWS, run: Run, pace: Pace) -> Callable[[Observed], None]:
    """Return a function that says once why no job runs, if it found the same twice in a row."""
    before = said = ""

    def say(seen: Observed) -> None:
        nonlocal before, said
        # An empty queue is a matter of the run's end, which has its own words.
        waiting = seen.queue is not None and seen.queue.total > 0
        found = why_idle.look(aws, run, seen, pace.register) if waiting else None
        now = found.situation if found and not found.passing else ""
        if found and now and now == before and now != said:
            screen.say(f"  {found}")
            said = now
        before = now

    return say


def _follower(aws: AWS, run: Run) -> Callable[[float, JobCounts | None], Step | None]:
    """Return a function that returns the auto-monitor's last step; None if it does not watch."""
    key = run.bucket, run.app_name, run.run_id
    followed, last = False, ""

    def follow(now: float, counted: JobCounts | None) -> Step | None:
        nonlocal followed, last
        run = store.load(aws.s3, *key)
        watched = auto_monitor.watches(aws, run)
        over = bool(run.ended or run.end_reason) and not watched
        if not watched and not (followed and over):
            return None
        if not followed:
            screen.say("The auto-monitor watches this run; this only shows it. Ctrl-C at any time.")
        followed = True
        seen = observe.observe(aws, run, now, counted)
        report = auto_monitor.last_report(aws, run)
        lines = tuple(report.get("lines", ())) if report.get("at", "") != last else ()
        last = report.get("at", "")
        silent = now - seconds(last or run.fleets[-1].requested)
        if silent > _SILENT_SECONDS and not over:
            lines = (*lines, _silence(silent))
        return Step(seen, lines, over, "" if run.ended else run.end_reason)

    return follow


def _silence(seconds: float) -> str:
    return (
        f"the auto-monitor has reported nothing for {seconds / 60:.0f} minutes: see its log, "
        f"{lambda_function.LOG_GROUP}, or end it and watch yourself: AUTO_MONITOR = False in "
        f"config.py, then: {typed('setup')} && {typed('startCluster')} && {typed('monitor')}"
    )


def _unfinished(aws: AWS, run: Run, taken: Step) -> Unfinished:
    """Return the error that says why the machines were ended although jobs are left."""
    why = f"{taken.unfinished[0].upper()}{taken.unfinished[1:]}"
    what = f"{why}. The machines were ended; the queue stays."
    if taken.seen.stopped and not taken.seen.jobs.finished:
        screen.say("The last lines of a container:")
        for line in cloudwatch_logs.last_lines(aws.logs, run.log_group, _LOG_LINES):
            screen.say(f"  {line}")
        stop = why_idle.commonest_stops(taken.seen)[0]
        return Unfinished(what, no_job.stopped(stop.why, stop.exit_code, run.config).fix, why)
    queue, refusals = taken.seen.queue, taken.seen.refusals
    if refusals:
        return Unfinished(what, no_job.refused(refusals, run.config).fix, why)
    if queue and queue.total:
        fix = f"Continue with the jobs that wait: {typed('startCluster')}"
        return Unfinished(what, fix, why)
    missing = submissions.without_record(aws.s3, run, states.recorded(aws.s3, run))
    names = list(itertools.islice(missing, _SHOWN))
    named = ", ".join(names) + (" ..." if len(names) == _SHOWN else "")
    return Unfinished(
        f"{why} ({named}). The machines were ended; the queue stays.",
        f"Send the missing jobs again: {typed('retry', '--unfinished')}; then: "
        f"{typed('startCluster')}",
    )


def say_end(aws: AWS, run: Run, counts: JobCounts) -> None:
    """Say how the jobs ended, and where everything is."""
    screen.say(f"The run has ended, and its machines with it: {counts.in_words()}.")
    root = f"s3://{run.config.DESTINATION_BUCKET}/"
    screen.say(outputs.in_words(root, outputs.folders(aws.s3, run), f"all: aws s3 ls {root}"))
    screen.say(f"Records and logs: s3://{run.bucket}/{run.prefix}")


def in_words(seen: Observed, jobs_at_once: int) -> str:
    """Return one line: jobs by state, machines, and containers with `jobs_at_once` each."""
    jobs = seen.jobs
    waiting = _waiting(seen.queue, jobs_at_once * sum(m.busy_tasks for m in seen.machines))
    skipped = f"{jobs.skipped:,} skipped, " if jobs.skipped else ""
    cancelled = f", {jobs.cancelled:,} cancelled" if jobs.cancelled else ""
    machines = several(len(seen.machines), "machine")
    tasks = several(seen.service.running, "container") if seen.service else "no service"
    return (
        f"{several(jobs.submitted, 'job')}: {waiting}{jobs.done:,} done, {skipped}"
        f"{jobs.failed:,} failed{cancelled}; {machines}, {tasks}"
    )


def _waiting(queue: Counts | None, places: int) -> str:
    """Return what is in the queue, in words.

    A job in flight that no busy container has a place for waits for its next attempt.
    """
    if queue is None:
        return ""
    back = max(0, queue.in_flight - places)
    again = f"{back:,} for a next attempt, " if back else ""
    return f"{queue.visible + queue.delayed:,} waiting, {again}{queue.in_flight - back:,} running, "
