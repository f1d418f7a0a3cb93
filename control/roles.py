"""The roles of a run: made once an account by setupAWS, found by name afterwards."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.errors import ExplainedError

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

TASK_ROLE = "DistributedSomethingTaskRole"
INSTANCE_ROLE = "DistributedSomethingInstanceRole"
FLEET_ROLE = "DistributedSomethingFleetRole"
# The service-linked roles that calls by API, unlike the console, do not make by themselves.
_SERVICE_LINKED = ("spotfleet.amazonaws.com", "spot.amazonaws.com", "ecs.amazonaws.com")


def role_arn(iam: IAMClient, name: str) -> str:
    """The ARN of a role. Raises ExplainedError if setupAWS has not made it."""
    try:
        return iam.get_role(RoleName=name)["Role"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        raise ExplainedError(
            f"The role {name} does not exist in this account.",
            "Run once, as somebody who may create roles: python run.py setupAWS",
        ) from None


def instance_profile_arn(iam: IAMClient, name: str) -> str:
    """The ARN of an instance profile. Raises ExplainedError if setupAWS has not made it."""
    try:
        return iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        raise ExplainedError(
            f"The instance profile {name} does not exist in this account.",
            "Run once, as somebody who may create roles: python run.py setupAWS",
        ) from None


def setup_roles(iam: IAMClient, folder: Path) -> list[str]:
    """Make the roles that files/iam describes, each file one role; says what it made or found.

    A file holds RoleName, AssumeRolePolicyDocument, PolicyDocument and, for machines,
    "InstanceProfile": true. Idempotent: a role left half made is completed.
    """
    said = []
    for path in sorted(folder.glob("*.json")):
        role = json.loads(path.read_text(encoding="utf-8"))
        name = role["RoleName"]
        made = _make_role(iam, role)
        iam.put_role_policy(
            RoleName=name, PolicyName=name, PolicyDocument=json.dumps(role["PolicyDocument"])
        )
        if role.get("InstanceProfile"):
            _make_instance_profile(iam, name)
        said.append(f"{'made' if made else 'already there'}: role {name}")
    for service in _SERVICE_LINKED:
        try:
            iam.create_service_linked_role(AWSServiceName=service)
            said.append(f"made: service-linked role of {service}")
        except ClientError as error:
            # IAM's word for "this role name has been taken in this account".
            if error.response["Error"]["Code"] not in ("InvalidInput", "EntityAlreadyExists"):
                raise
            said.append(f"already there: service-linked role of {service}")
    return said


def _make_role(iam: IAMClient, role: dict[str, Any]) -> bool:
    trust = json.dumps(role["AssumeRolePolicyDocument"])
    try:
        iam.create_role(
            RoleName=role["RoleName"],
            AssumeRolePolicyDocument=trust,
            Description=role["Description"],
        )
        return True
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust)
        return False


def _make_instance_profile(iam: IAMClient, name: str) -> None:
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_instance_profile(InstanceProfileName=name)
    # A profile holds one role: at its limit, this one is in it.
    with suppress(iam.exceptions.LimitExceededException):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
