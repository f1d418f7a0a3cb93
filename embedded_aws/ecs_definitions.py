"""What the model needs of moto's task definitions."""

from __future__ import annotations

from typing import Any

from moto.ecs.exceptions import ECSException

from embedded_aws.model.things import TaskDefinition


def definition(backend: Any, wanted: str) -> TaskDefinition:
    """The task definition of this ARN, FAMILY:REVISION or, for its newest active revision, FAMILY.

    Raises what ECS answers if there is none or it is not active.
    """
    name = wanted.rsplit("/", 1)[-1]
    if ":" not in name:
        active = [
            revision
            for revision, found in backend.task_definitions.get(name, {}).items()
            if found.status == "ACTIVE"
        ]
        name = f"{name}:{max(active, default=0)}"
    found = backend.describe_task_definition(name)
    if found.status != "ACTIVE":
        raise ECSException("ClientException", "TaskDefinition is inactive")
    containers = found.container_definitions
    return TaskDefinition(
        arn=found.arn,
        family=found.family,
        cpu=int(found.cpu or sum(int(c.get("cpu") or 0) for c in containers)),
        memory=int(found.memory or sum(_memory(c) for c in containers)),
        gpus=sum(_gpus(c) for c in containers),
        stop_timeout=float(max(c.get("stopTimeout") or 30 for c in containers)),
        details={
            "containerDefinitions": containers,
            "tags": found.tags,
            "taskRoleArn": getattr(found, "task_role_arn", None),
        },
    )


def _memory(container: Any) -> int:
    """What placement counts: the reservation if there is one (ecs.ContainerDefinition)."""
    return int(container.get("memoryReservation") or container.get("memory") or 0)


def _gpus(container: Any) -> int:
    needs = container.get("resourceRequirements") or []
    return sum(int(need["value"]) for need in needs if need["type"] == "GPU")
