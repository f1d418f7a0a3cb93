"""What a run waits for: the verb to type next, once it is set up or checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import screen, usage
from control.services import fleet, records
from control.words import several

if TYPE_CHECKING:
    from control.services.account import AWS
    from control.services.records import Run


def next_verb(aws: AWS, run: Run | None, fleet_file: str = usage.FLEET) -> str:
    """The verb that comes next of setup, submitJob, startCluster, monitor."""
    if run is None or run.ended or not run.queue_url:
        return "setup"
    if not run.submissions:
        return f"submitJob {usage.JOBS}"
    if any(fleet.has_machines(one.state) for one in _fleets(aws, run)):
        return "monitor, or status --watch"
    counts = records.count(aws.s3, run)
    if counts.finished >= counts.submitted:
        return "monitor   (ends what is still there), or submitJob"
    return f"startCluster {fleet_file}"


def _fleets(aws: AWS, run: Run) -> list[fleet.FleetState]:
    return fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run)) if run.fleets else []


def say_left_behind(aws: AWS, before: Run) -> None:
    """Say which jobs of the run before did not succeed, now that another has begun, which is all
    that retry knows of."""
    counts = records.count(aws.s3, before)
    left = counts.submitted - counts.finished
    if not counts.failed and left <= 0:
        return
    failed = [f"{several(counts.failed, 'job')} failed"] if counts.failed else []
    lost = [f"{several(left, 'job')} did not end"] if left > 0 else []
    screen.say(
        f"In the last run, {before.run_id}, {' and '.join(failed + lost)}. To have them done in "
        "this one: submitJob JOBFILE --missing, which sends what no run has done."
    )
