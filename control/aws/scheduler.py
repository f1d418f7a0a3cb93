"""EventBridge Scheduler: the schedule that calls the auto-monitor."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from control.aws.waiting import Wait, until_accepted
from control.explain import aws_errors
from control.model import utc

if TYPE_CHECKING:
    from control.model import Run

GROUP = "DistributedSomething"
# Scheduler accepts 64 characters (API reference of CreateSchedule); a RUN_ID has 16 of them.
_LONGEST_APP_NAME = 64 - 1 - 16
# Machines live until MAX_RUN_HOURS; the monitor needs a few minutes more to see that they ended.
_AFTER_MACHINES_SECONDS = 3600
# A deleted group is there until its schedules are gone (API reference of DeleteScheduleGroup).
_DELETING_SECONDS = 180


def schedule_name(app_name: str, run_id: str) -> str:
    """Return the name of a run's schedule."""
    if len(app_name) > _LONGEST_APP_NAME:
        digest = hashlib.sha256(app_name.encode()).hexdigest()[:8]
        app_name = f"{app_name[: _LONGEST_APP_NAME - 9]}-{digest}"
    return f"{app_name}_{run_id}"


def ensure_schedule(
    scheduler: Any,
    run: Run,
    function_arn: str,
    role_arn: str,
    machines_end: float,
) -> None:
    """Call the function every minute with the run's key, until an hour after the machines' end.

    AWS itself removes the schedule then, if nobody has done so. A repeated call moves the end.
    """
    event = {"bucket": run.bucket, "app_name": run.app_name, "run_id": run.run_id}
    wanted: Any = {
        "Name": run.schedule,
        "GroupName": GROUP,
        "Description": f"The auto-monitor of {run.app_name}, run {run.run_id}.",
        "ScheduleExpression": "rate(1 minutes)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "EndDate": utc(machines_end + _AFTER_MACHINES_SECONDS),
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": function_arn,
            "RoleArn": role_arn,
            "Input": json.dumps(event),
            # A failed call is not repeated: that of the next minute does the same.
            "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
        },
    }
    try:
        scheduler.create_schedule(**wanted)
    except scheduler.exceptions.ConflictException:
        scheduler.update_schedule(**wanted)


def schedule_exists(scheduler: Any, schedule: str) -> bool:
    """Return whether the schedule exists: AWS removes it at its end."""
    try:
        scheduler.get_schedule(GroupName=GROUP, Name=schedule)
    except scheduler.exceptions.ResourceNotFoundException:
        return False
    return True


def delete_schedule(scheduler: Any, schedule: str) -> None:
    """Delete a schedule if it exists."""
    with suppress(scheduler.exceptions.ResourceNotFoundException):
        scheduler.delete_schedule(GroupName=GROUP, Name=schedule)


def ensure_schedule_group(scheduler: Any, wait: Wait = time.sleep) -> None:
    """Make the group of all our schedules.

    Wait up to three minutes for one that is being deleted; raise ExplainedError if it stays.
    """
    conflict = scheduler.exceptions.ConflictException
    try:
        until_accepted(
            lambda: scheduler.create_schedule_group(Name=GROUP),
            lambda error: isinstance(error, conflict) and _group_state(scheduler) != "ACTIVE",
            wait,
            _DELETING_SECONDS,
        )
    except conflict:
        if _group_state(scheduler) != "ACTIVE":
            values = {"group": GROUP, "seconds": _DELETING_SECONDS}
            raise aws_errors.failure("schedules being deleted", **values) from None


def _group_state(scheduler: Any) -> str:
    """Return ACTIVE or DELETING, AWS's words; "" if there is no such group."""
    try:
        state: str = scheduler.get_schedule_group(Name=GROUP)["State"]
    except scheduler.exceptions.ResourceNotFoundException:
        return ""
    return state


def delete_schedule_group(scheduler: Any) -> bool:
    """Delete the group with all schedules in it; return whether there was one."""
    if _group_state(scheduler) != "ACTIVE":
        return False
    scheduler.delete_schedule_group(Name=GROUP)
    return True
