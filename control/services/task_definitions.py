"""ECS: the task definitions of a run, one for each setup that changed a setting."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from control.services import tags

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

    from control.services.records import Run

_DIGEST_TAG = "distributed-something:digest"
# Spot gives two minutes; what is left is for the agent (aws-facts: ECS stop).
STOP_TIMEOUT_SECONDS = 110


def container_definition(settings: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """The one container of a task. Never privileged: a mount needs one device, one capability."""
    app = settings["APP_NAME"]
    definition: dict[str, Any] = {
        "name": app,
        "image": settings["DOCKERHUB_TAG"],
        "cpu": settings["CPU_SHARES"],
        "memory": settings["MEMORY"],
        "essential": True,
        "stopTimeout": STOP_TIMEOUT_SECONDS,
        "environment": [{"name": k, "value": v} for k, v in sorted(environment.items())],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": settings["LOG_GROUP_NAME"],
                "awslogs-region": settings["AWS_REGION"],
                "awslogs-stream-prefix": app,
                # A slow CloudWatch must not stop the program that writes to stdout.
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        },
    }
    if not settings["DOWNLOAD_FILES"]:
        device = {"hostPath": "/dev/fuse", "containerPath": "/dev/fuse"}
        definition["linuxParameters"] = {
            "capabilities": {"add": ["SYS_ADMIN"]},
            "devices": [{**device, "permissions": ["read", "write", "mknod"]}],
        }
    if settings["GPUS_PER_TASK"]:
        gpus = str(settings["GPUS_PER_TASK"])
        definition["resourceRequirements"] = [{"type": "GPU", "value": gpus}]
    return definition


def register(
    ecs: ECSClient,
    run: Run,
    container: dict[str, Any],
    task_role_arn: str,
    execution_role_arn: str = "",
) -> str:
    """Register the task definition; returns its ARN, the newest one's if that is the same.

    The newest of the family, not the one that run.json names: a setup that was broken off may
    have registered one that nobody has written down.
    """
    family = run.app_name
    content = {"containerDefinitions": [container], "taskRoleArn": task_role_arn}
    if execution_role_arn:
        content["executionRoleArn"] = execution_role_arn
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
    for newest in active(ecs, run, most=1):
        present = ecs.describe_task_definition(taskDefinition=newest, include=["TAGS"])
        known = {tag["key"]: tag["value"] for tag in present.get("tags", [])}
        if known.get(_DIGEST_TAG) == digest:
            return newest
    answer = ecs.register_task_definition(
        family=family,
        requiresCompatibilities=["EC2"],
        tags=[*tags.of_ecs(run), {"key": _DIGEST_TAG, "value": digest}],
        **content,  # type: ignore[arg-type]
    )
    return answer["taskDefinition"]["taskDefinitionArn"]


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
