"""monitor: watch a run, scale it in, and end it."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from control import actions, logs, observation, reasons, records, screen, submitted
from control.decision import decide
from control.errors import ExplainedError
from control.observed import Memory, Observed, Pace
from control.orders import Action, EndMachines, EndRun
from control.words import several

if TYPE_CHECKING:
    from control.account import AWS
    from control.records import JobCounts, Run

# Of the jobs without a record, so many are named.
_SHOWN = 5
_LOG_LINES = 10


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of the monitor: what it saw and did, and whether the run is over."""

    seen: Observed
    said: tuple[str, ...]
    ended: bool = False
    unfinished: str = ""


def step(aws: AWS, run: Run, now: float, pace: Pace, counted: JobCounts | None = None) -> Step:
    """Look, decide, act, once. Stateless but for run.json: any monitor can take the next step.

    `counted` is a count that is recent enough while the queue is not empty.
    """
    run = records.load(aws.s3, run.bucket, run.app_name, run.run_id)
    seen = observation.observe(aws, run, now, counted)
    if run.ended:
        return Step(seen, (), ended=True)
    memory = Memory(**run.memory)
    chosen, remembered = decide(seen, memory, run.settings, pace)
    if remembered != memory:
        kept = dataclasses.asdict(remembered)
        records.change(aws.s3, run, lambda r: dataclasses.replace(r, memory=kept))
    said = tuple(_carry_out(aws, run, chosen, seen))
    over = next((a for a in chosen if isinstance(a, EndRun | EndMachines)), None)
    why = over.why if isinstance(over, EndMachines) else ""
    return Step(seen, said, ended=over is not None, unfinished=why)


def _carry_out(aws: AWS, run: Run, chosen: list[Action], seen: Observed) -> Iterator[str]:
    try:
        for action in chosen:
            yield from actions.carry_out(aws, run, action, seen)
    except ClientError as error:
        if reasons.code_of(error) != "FleetNotInModifiableState":
            raise
        # What follows in this step depends on the target; the next step decides anew.
        yield "another monitor changes the fleet at this moment"


def watch(
    aws: AWS,
    run: Run,
    pace: Pace,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> JobCounts:
    """Step until the run is over; returns the counts at the end.

    May be stopped and started again at any moment. Raises ExplainedError if jobs are left
    unfinished: their machines were ended, and it names what to do. An AWS that cannot be reached
    or has too much to do is waited for, as long as `pace.patience`.
    """
    if records.load(aws.s3, run.bucket, run.app_name, run.run_id).ended:
        return records.count(aws.s3, run)
    counted, count_due = None, 0.0
    answered = clock()
    with screen.live_status() as show:
        while True:
            now = clock()
            try:
                taken = step(aws, run, now, pace, counted if now < count_due else None)
            except (BotoCoreError, ClientError) as error:
                if not reasons.is_passing(error) or now - answered > pace.patience:
                    raise
                show(f"AWS does not answer well ({error}); trying again")
                sleep(pace.poll)
                continue
            answered = now
            if taken.seen.jobs is not counted:
                counted = taken.seen.jobs
                count_due = now + pace.listing * counted.finished / 1000
            if taken.ended:
                screen.say(in_words(taken.seen))
            else:
                show(in_words(taken.seen))
            for done in taken.said:
                screen.say(f"  {done}")
            if taken.ended:
                break
            sleep(pace.poll)
    if taken.unfinished:
        raise _unfinished(aws, run, taken)
    return taken.seen.jobs


def _unfinished(aws: AWS, run: Run, taken: Step) -> ExplainedError:
    """The error that says why the machines were ended although jobs are left."""
    why = f"{taken.unfinished[0].upper()}{taken.unfinished[1:]}"
    if taken.seen.stopped and not taken.seen.jobs.finished:
        screen.say("The last lines of a container:")
        for line in logs.last_lines(aws.logs, run.log_group, _LOG_LINES):
            screen.say(f"  {line}")
        return ExplainedError(
            f"{why}. The machines were ended; the queue stays.",
            "Mend what the lines above say, in worker/ or in the image, and start again.",
        )
    names = list(itertools.islice(submitted.without_record(aws.s3, run), _SHOWN))
    return ExplainedError(
        f"{why} ({', '.join(names)} ...). The machines were ended; the queue stays.",
        "Submit what is missing again (python run.py submitJob JOBFILE --again --missing), then: "
        "python run.py startCluster files/exampleFleet.json",
    )


def in_words(seen: Observed) -> str:
    """One line: jobs by state, machines, containers."""
    jobs = seen.jobs
    queue = seen.queue
    waiting = (
        f"{queue.visible + queue.delayed:,} waiting, {queue.in_flight:,} in work, " if queue else ""
    )
    skipped = f"{jobs.skipped:,} skipped, " if jobs.skipped else ""
    machines = several(len(seen.machines), "machine")
    tasks = several(seen.service.running, "container") if seen.service else "no service"
    return (
        f"{several(jobs.submitted, 'job')}: {waiting}{jobs.done:,} done, {skipped}"
        f"{jobs.failed:,} failed; {machines}, {tasks}"
    )
