"""Requests for machines, written to run.json before they are sent."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.aws import fleet, launch_template
from control.aws.s3 import put_json
from control.aws.waiting import Wait, until_accepted
from control.explain import aws_errors
from control.model import FleetEntry, utc
from control.records import store

if TYPE_CHECKING:
    from control.aws.fleet import FleetState
    from control.aws.session import AWS
    from control.model import Run

# EC2 modifies a fleet only while it is active: not in its first seconds, nor twice at once.
_NOT_YET = ("FleetNotInModifiableState", "InvalidSpotFleetRequestId.NotFound")
_MODIFIABLE_SECONDS = 60
# The memory of the monitor is about the machines before these.
_FRESH: dict[str, Any] = {
    **{"memory": {}, "cheapest_since": 0.0, "end_reason": "", "stopped": "", "mailed": False}
}


def request(
    aws: AWS,
    run: Run,
    plan: launch_template.Plan,
    target: int,
    now: float,
    hourly_limit: float | None,
) -> Run:
    """Record what will be requested, then request it. Return the run with the fleet in it."""
    token = str(uuid.uuid4())
    # Two commands at the same time must not use each other's template.
    template = f"{run.app_name}-{run.run_id}-{token[:8]}"
    valid_until = now + run.config.MAX_RUN_HOURS * 3600
    entry = FleetEntry(
        template=template,
        template_data=launch_template.data(run, plan),
        request=fleet.request_config(run, plan, template, token, target, valid_until, hourly_limit),
        target=target,
        requested=utc(now),
    )

    def written_down(now: Run) -> Run:
        # Can be called more than once: an answer of S3 can be lost.
        there = any(f.template == template for f in now.fleets)
        fleets = now.fleets if there else (*now.fleets, entry)
        return dataclasses.replace(now, fleets=fleets, **_FRESH)

    run = store.change(aws.s3, run, written_down)
    return finish(aws, run)


def past(run: Run, now: float) -> list[FleetEntry]:
    """Return the requests without an id that EC2 would refuse now: their ValidUntil is past."""
    return [entry for entry in run.fleets if not entry.fleet_id and entry.valid_until <= now]


def finish(aws: AWS, run: Run) -> Run:
    """Request every fleet that is recorded without an id; it may exist already.

    A request that EC2 refuses for good is removed, so that it is not repeated forever.
    """
    for entry in run.fleets:
        if entry.fleet_id:
            continue
        put_json(aws.s3, run.bucket, f"{run.prefix}snapshot/fleet.json", dataclasses.asdict(entry))
        launch_template.ensure(aws.ec2, run, entry.template, entry.template_data)
        try:
            fleet_id = fleet.request(aws.ec2, entry.request)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                forget(aws, run, entry.template)
            raise
        run = _change_entry(aws, run, "template", entry.template, fleet_id=fleet_id)
    return run


def resize(
    aws: AWS,
    run: Run,
    live: Sequence[FleetState],
    total: int,
    wait: Wait = time.sleep,
) -> Run:
    """Set the targets of the live fleets so that their sum is `total`; end no busy machine."""
    run = store.change(aws.s3, run, lambda r: dataclasses.replace(r, **_FRESH))
    for state, target in zip(live, share([f.target for f in live], total), strict=True):
        run = _change_entry(aws, run, "fleet_id", state.fleet_id, target=target)
        if target != state.target:
            _set_target(aws, state.fleet_id, target, wait)
    return run


def share(targets: Sequence[int], total: int) -> list[int]:
    """Return new targets with this sum: the newest fleet grows; the newest shrink first."""
    left = total - sum(targets)
    shared = list(targets)
    for place in reversed(range(len(shared))):
        change = max(left, -shared[place])
        shared[place] += change
        left -= change
    return shared


def _set_target(aws: AWS, fleet_id: str, target: int, wait: Wait) -> None:
    until_accepted(
        lambda: fleet.set_target(aws.ec2, fleet_id, target),
        lambda error: aws_errors.code_of(error) in _NOT_YET,
        wait,
        _MODIFIABLE_SECONDS,
        pause=1.0,
    )


def _change_entry(aws: AWS, run: Run, by: str, value: str, **changes: Any) -> Run:
    """Change the entry in run.json whose field `by` is `value`."""

    def how(now: Run) -> Run:
        fleets = tuple(
            dataclasses.replace(entry, **changes) if getattr(entry, by) == value else entry
            for entry in now.fleets
        )
        return dataclasses.replace(now, fleets=fleets)

    return store.change(aws.s3, run, how)


def forget(aws: AWS, run: Run, template: str) -> Run:
    """Remove the request with this template from run.json.

    The template is deleted first: a later request of the same name would use it.
    """
    launch_template.delete(aws.ec2, template)
    return store.change(
        aws.s3,
        run,
        lambda r: dataclasses.replace(
            r, fleets=tuple(f for f in r.fleets if f.template != template)
        ),
    )
