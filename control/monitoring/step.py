"""One step of the monitor: observe, decide, act, remember."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control.aws.scheduler import delete_schedule
from control.explain import aws_errors
from control.monitoring import act, observe
from control.monitoring.decide import decide
from control.monitoring.facts import Action, EndMachines, EndRun, Memory, Observed
from control.monitoring.timings import Pace
from control.records import machine_costs, store

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import JobCounts, Run

# AWS's error codes for one of two monitors that act at the same time.
_BY_ANOTHER = {
    "FleetNotInModifiableState": "is changing the fleet",
    "ServiceNotActiveException": "is ending the service",
    "ServiceNotFoundException": "is ending the service",
}


@dataclasses.dataclass(frozen=True)
class Step:
    """The observations and actions of a step, in words, and whether the run is over."""

    seen: Observed
    lines: tuple[str, ...]
    ended: bool = False
    unfinished: str = ""


def step(aws: AWS, run: Run, now: float, pace: Pace, counted: JobCounts | None = None) -> Step:
    """Observe, decide and act once. All state is in run.json: any monitor can take the next step.

    `counted` is a count that is recent enough while the queue is not empty.
    """
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    seen = observe.observe(aws, run, now, counted)
    if run.ended:
        # A step that was interrupted after it wrote this may have left the rest undone.
        _after_the_end(aws, run, seen, "")
        return Step(seen, (), ended=True)
    known = {f.name for f in dataclasses.fields(Memory)}  # another version's may know more
    memory = Memory(**{k: v for k, v in run.memory.items() if k in known})
    memory = observe.price(aws, run, seen, memory, pace)
    chosen, remembered = decide(seen, memory, run.config, pace)
    run = _remember(aws, run, seen, remembered)
    lines = tuple(_carry_out(aws, run, chosen, seen))
    over = next((a for a in chosen if isinstance(a, EndRun | EndMachines)), None)
    why = over.why if isinstance(over, EndMachines) else ""
    if over is not None and not (why and run.stopped):
        # The user knows of it; stop itself ends the auto-monitor.
        _after_the_end(aws, run, seen, why)
    return Step(seen, lines, ended=over is not None, unfinished=why)


def _carry_out(aws: AWS, run: Run, chosen: list[Action], seen: Observed) -> Iterator[str]:
    for action in chosen:
        try:
            yield from act.carry_out(aws, run, action, seen)
        except ClientError as error:
            what = _BY_ANOTHER.get(aws_errors.code_of(error))
            if what is None or isinstance(action, EndRun | EndMachines):
                raise
            # The rest of this step depends on it; the next step decides again.
            yield f"another monitor {what} right now"
            return


def _remember(aws: AWS, run: Run, seen: Observed, memory: Memory) -> Run:
    kept = dataclasses.asdict(memory)

    def note(now: Run) -> Run:
        grown = machine_costs.grown_machine_time(now.machine_time, seen.machines, seen.now)
        return dataclasses.replace(now, memory=kept, machine_time=grown)

    if note(run) == run:
        return run
    return store.change(aws.s3, run, note)


def _after_the_end(aws: AWS, run: Run, seen: Observed, why: str) -> None:
    """Tell the user once; then, last of all, end the calls of the auto-monitor."""
    if run.topic_arn and not run.mailed:
        cost = machine_costs.in_words(machine_costs.so_far(aws.ec2, run.machine_time, seen.now))
        act.send_end_mail(aws, run, seen.jobs, why, cost)
    if why:
        store.change(aws.s3, run, lambda r: dataclasses.replace(r, end_reason=why))
    if run.schedule:
        delete_schedule(aws.scheduler, run.schedule)
        store.change(aws.s3, run, lambda r: dataclasses.replace(r, schedule=""))
