"""The next command to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from control import cli, screen
from control.aws import fleet
from control.errors import UserError
from control.records import states
from control.text import several

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import JobCounts, Run


WHY_FAILED = "failures   (says why; then retry sends those jobs again)"


def say(words: str) -> None:
    """Print the last line of a verb: what to type next after `python run.py`."""
    screen.next_command(f"python run.py {words}")


def next_verb(aws: AWS, run: Run | None, fleet_file: str = cli.FLEET) -> str:
    """Return the verb that comes next of setup, submitJob, startCluster, monitor."""
    if run is None or run.ended or not run.queue_url:
        return "setup"
    if not run.submissions:
        return f"submitJob {cli.JOBS}"
    if any(fleet.has_machines(one.state) for one in _fleets(aws, run)):
        return "monitor, or status --watch"
    return after_stop(run, states.count(aws.s3, run), fleet_file)


def after_stop(run: Run, counts: JobCounts, fleet_file: str = cli.FLEET) -> str:
    """Return the verb that comes next where no machine is up."""
    if counts.finished < counts.submitted:
        return f"startCluster {fleet_file}"
    if counts.failed:
        return WHY_FAILED
    ends = "monitor   (ends what is still there), or " if run.fleets else ""
    return f"{ends}submitJob {cli.JOBS}"


def after_the_end(jobs: JobCounts) -> str:
    """Return the verb that comes next after the end of a run."""
    if jobs.failed:
        return WHY_FAILED
    if jobs.finished < jobs.submitted:
        return "retry   (sends the jobs again that have no record)"
    return "report   (what it did and cost), or setup for a new run"


def _fleets(aws: AWS, run: Run) -> list[fleet.FleetState]:
    return fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run)) if run.fleets else []


def say_left_behind(aws: AWS, before: Run) -> None:
    """Say which jobs of the run before did not succeed: retry does not know them any longer."""
    counts = states.count(aws.s3, before)
    left = counts.submitted - counts.finished
    if not counts.failed and left <= 0:
        return
    failed = [f"{several(counts.failed, 'job')} failed"] if counts.failed else []
    lost = [f"{several(left, 'job')} did not end"] if left > 0 else []
    screen.say(
        f"In the last run, {before.run_id}, {' and '.join(failed + lost)}. To have them done in "
        "this one: submitJob JOBFILE --missing, which sends what no run has done."
    )


def refuse_earlier(asked: Run, newest: Run) -> None:
    """Raise UserError if the run is not the newest, whose queue and machines all verbs use."""
    if asked.run_id != newest.run_id:
        sends = _by_file([Path("failed.json")], newest)
        raise UserError(
            f"retry sends jobs of the newest run only, {newest.run_id}; {asked.run_id} is an "
            "earlier one.",
            f"Make them jobs of the newest: python run.py failures --run {asked.run_id} --job-file "
            f"failed.json, then: {' and '.join(f'python run.py {verb}' for verb in sends)}",
        )


def after_failures(run: Run, newest: Run, written: Sequence[Path]) -> str:
    """Return what to type after `failures`, which has written these job files, if any."""
    if run.run_id == newest.run_id:
        return "retry   (once it is fixed: sends those again that failed for good)"
    sends = _by_file(written or [Path("failed.json")], newest)
    if not written:
        then = ", then ".join(sends)
        return (
            f"failures --run {run.run_id} --job-file failed.json   (then {then}: retry is for the "
            "newest run)"
        )
    first, *more = sends
    return f"{first}   (then {', then '.join(more)})" if more else first


def _by_file(paths: Sequence[Path], newest: Run) -> list[str]:
    """Return what sends the jobs of files: to the newest run, or to a new one."""
    begin = ["setup"] if newest.ended else []
    return begin + [f"submitJob {shlex.quote(str(path))}" for path in paths]
