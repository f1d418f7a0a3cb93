"""The end of a run: everything that it made is taken down, one safe step after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from control.reports import report
from control.services import alarms, cluster, dashboard, fleet, queues, records, task_definitions
from control.words import several

if TYPE_CHECKING:
    from control.services.account import AWS
    from control.services.records import Run


def end_machines(aws: AWS, run: Run) -> Iterator[str]:
    """End all that costs money; the queue and what is in it stay. Yields what was done.

    Each step is safe to repeat: after a crash the next start goes through all of them again.
    """
    if cluster.delete_service(aws.ecs, run):
        yield f"service {run.service} ended"
    # By tags too: a request may have been answered into the void, and a machine have outlived its
    # fleet.
    ended = fleet.cancel(aws.ec2, fleet.by_tags(aws.ec2, run))
    left = fleet.machines(aws.ec2, run)
    fleet.terminate(aws.ec2, left)
    if ended:
        yield f"{several(ended, 'fleet')} ended with all machines"
    elif left:
        yield f"{several(len(left), 'machine')} ended"
    names = alarms.of_run(aws.cloudwatch, run)
    alarms.delete(aws.cloudwatch, names)
    templates = fleet.launch_templates(aws.ec2, run)
    for template in templates:
        fleet.delete_launch_template(aws.ec2, template)
    if names or templates:
        yield "alarms and launch templates removed"


def end_run(aws: AWS, run: Run, now: float) -> Iterator[str]:
    """Take everything of a finished run down and write report.json. Yields what was done."""
    yield from end_machines(aws, run)
    queues.delete(aws.sqs, run.queue_url)
    yield f"queue {run.queue_url.rsplit('/', 1)[-1]} deleted"
    count = task_definitions.deregister(aws.ecs, run)
    yield f"{several(count, 'task definition')} deregistered"
    cluster.forget_machines(aws.ecs, run)
    if cluster.delete_if_unused(aws.ecs, run.cluster):
        yield f"cluster {run.cluster} deleted"
    else:
        yield f"cluster {run.cluster} kept: others use it"
    if run.settings["CLEAN_DASHBOARD"]:
        dashboard.delete(aws.cloudwatch, run)
        yield "dashboard removed"

    def ended(run: Run) -> Run:
        return dataclasses.replace(run, ended=records.utc(now), end_reason="every job has ended")

    report.write(aws, ended(run), now)
    # Last: until this is written, the next start of the monitor goes through the end again.
    records.change(aws.s3, run, ended)
