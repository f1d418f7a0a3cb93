"""The end of a run: everything that it made is taken down, one safe step after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from control import alarms, cluster, dashboard, fleet, queues, records
from control.words import several

if TYPE_CHECKING:
    from control.account import AWS
    from control.records import JobCounts, Run


def end_machines(aws: AWS, run: Run) -> Iterator[str]:
    """End all that costs money; the queue and what is in it stay. Yields what was done.

    Each step is safe to repeat: after a crash the next start goes through all of them again.
    """
    cluster.delete_service(aws.ecs, run)
    yield f"service {run.service} ended"
    fleet_ids = fleet.of_run(aws.ec2, run)
    fleet.cancel(aws.ec2, fleet_ids)
    yield f"{several(len(fleet_ids), 'fleet')} ended with all machines"
    alarms.delete(aws.cloudwatch, alarms.of_run(aws.cloudwatch, run))
    for entry in run.fleets:
        fleet.delete_launch_template(aws.ec2, entry["template"])
    yield "alarms and launch templates removed"


def end_run(aws: AWS, run: Run, counts: JobCounts, now: float) -> Iterator[str]:
    """Take everything of a finished run down and write report.json. Yields what was done."""
    yield from end_machines(aws, run)
    queues.delete(aws.sqs, run.queue_url)
    yield f"queue {run.queue_url.rsplit('/', 1)[-1]} deleted"
    cluster.deregister(aws.ecs, run.task_definition)
    yield f"task definition {run.task_definition.rsplit('/', 1)[-1]} deregistered"
    if cluster.delete_if_unused(aws.ecs, run.cluster):
        yield f"cluster {run.cluster} deleted"
    else:
        yield f"cluster {run.cluster} kept: others use it, or its machines are still leaving"
    if run.settings["CLEAN_DASHBOARD"]:
        dashboard.delete(aws.cloudwatch, run)
        yield "dashboard removed"
    report = {
        "app_name": run.app_name,
        "run_id": run.run_id,
        "ended": records.utc(now),
        **dataclasses.asdict(counts),
    }
    records.put_json(aws.s3, run.bucket, f"{run.prefix}report.json", report)
    # Last: until this is written, the next start of the monitor goes through the end again.
    records.change(
        aws.s3,
        run,
        lambda r: dataclasses.replace(r, ended=records.utc(now), end_reason="every job has ended"),
    )
