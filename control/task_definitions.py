"""ECS: the task definitions of a run, one for each setup that changed a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control import tags

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

    from control.records import Run


def active(ecs: ECSClient, run: Run, most: int = 100) -> list[str]:
    """The newest active task definitions of the app, up to 100 (API reference), newest first."""
    return ecs.list_task_definitions(
        familyPrefix=run.app_name, status="ACTIVE", sort="DESC", maxResults=most
    )["taskDefinitionArns"]


def of_run(ecs: ECSClient, run: Run) -> list[str]:
    """The active task definitions that setups of this run registered."""
    return [arn for arn in active(ecs, run) if _is_of_run(ecs, run, arn)]


def _is_of_run(ecs: ECSClient, run: Run, arn: str) -> bool:
    described = ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
    return {"key": tags.RUN_TAG, "value": run.run_id} in described.get("tags", [])


def deregister(ecs: ECSClient, run: Run) -> int:
    """Mark the run's task definitions as no longer to be used; running tasks are not touched.

    Returns how many there were.
    """
    found = of_run(ecs, run)
    for arn in found:
        ecs.deregister_task_definition(taskDefinition=arn)
    return len(found)
