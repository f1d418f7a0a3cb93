"""What of a run exists in the account at this moment, found by tags and names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.services import (
    alarms,
    cluster,
    dashboard,
    fleet,
    logs,
    queues,
    schedules,
    task_definitions,
)

if TYPE_CHECKING:
    from control.services.account import AWS
    from control.services.records import Run


@dataclass(frozen=True)
class Thing:
    """One resource; `costs` if it costs money, or brings up what does, as long as it is there.

    `stop` takes away what costs, and what was of use to that alone.
    """

    kind: str
    name: str
    costs: bool
    of_use_to_it: bool = False

    @property
    def goes(self) -> bool:
        """Whether `stop` takes it away."""
        return self.costs or self.of_use_to_it

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def of_run(aws: AWS, run: Run, clock: Callable[[], float] = time.time) -> list[Thing]:
    """Everything of the run but its objects in the bucket; what is being ended is left out."""
    return [*_costly(aws, run, clock()), *_free(aws, run)]


def _costly(aws: AWS, run: Run, now: float) -> Iterator[Thing]:
    for state in fleet.describe(aws.ec2, fleet.by_tags(aws.ec2, run), fleet.young(run, now)):
        if fleet.needs_cancel(state):
            yield Thing("fleet", state.fleet_id, costs=True)
    for instance_id in fleet.machines(aws.ec2, run):
        yield Thing("machine", instance_id, costs=True)
    if cluster.service_state(aws.ecs, run) is not None:
        yield Thing("service", run.service, costs=True)
    for name in alarms.of_run(aws.cloudwatch, run):
        yield Thing("alarm", name, costs=True)
    if run.schedule and schedules.exists(aws.scheduler, run.schedule):
        yield Thing("schedule", run.schedule, costs=True)
    if dashboard.exists(aws.cloudwatch, run):
        yield Thing("dashboard", run.app_name, costs=run.settings["CLEAN_DASHBOARD"])


def _free(aws: AWS, run: Run) -> Iterator[Thing]:
    for name in fleet.launch_templates(aws.ec2, run):
        yield Thing("launch template", name, costs=False, of_use_to_it=True)
    for setting in ("SQS_QUEUE_NAME", "SQS_DEAD_LETTER_QUEUE"):
        if queues.url(aws.sqs, run.settings[setting]):
            yield Thing("queue", run.settings[setting], costs=False)
    for arn in task_definitions.of_run(aws.ecs, run):
        yield Thing("task definition", arn.rsplit("/", 1)[-1], costs=False)
    if cluster.exists(aws.ecs, run.cluster):
        yield Thing("cluster", run.cluster, costs=False)
    if logs.exists(aws.logs, run.log_group):
        yield Thing("log group", run.log_group, costs=False)
