"""What the ECS agent gives a container in place of keys: the task role's credentials.

ECS guide, task-iam-roles; the agent's endpoint is on loopback here, where boto3 takes one by
AWS_CONTAINER_CREDENTIALS_FULL_URI.
"""

from __future__ import annotations

from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from embedded_aws.model.things import TaskDefinition

SECONDS = 6 * 3600  # the agent gives them for six hours


def has_role(definition: TaskDefinition, account: str) -> bool:
    """Whether the task role of the definition exists."""
    try:
        iam_backends[account]["aws"].get_role_by_arn(_role(definition))
    except NotFoundException:
        return False
    return True


def of_task(definition: TaskDefinition, task_id: str, account: str, region: str) -> dict[str, Any]:
    """Fresh credentials of the task role, in the form of the agent's endpoint."""
    assumed = sts_backends[account]["aws"].assume_role(
        region_name=region,
        role_session_name=task_id,
        role_arn=_role(definition),
        policy="",
        duration=SECONDS,
        external_id="",
    )
    return {
        "RoleArn": _role(definition),
        "AccessKeyId": assumed.access_key_id,
        "SecretAccessKey": assumed.secret_access_key,
        "Token": assumed.session_token,
        "Expiration": assumed.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _role(definition: TaskDefinition) -> str:
    return str(definition.details.get("taskRoleArn") or "")
