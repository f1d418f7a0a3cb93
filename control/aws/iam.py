"""IAM: roles and their policies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.aws import tags
from control.aws.scheduler import schedule_name
from control.errors import ExplainedError, UserError
from control.explain import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

    from control.config import Config

# Not ${aws:username} and the like: those are IAM's own.
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Z_]+)\}")
Names = Mapping[str, str | tuple[str, ...]]


def partition(region: str) -> str:
    """Return the partition in every ARN of this region, such as 'aws'."""
    special = {"cn": "aws-cn", "us-gov": "aws-us-gov"}
    return next((name for start, name in special.items() if region.startswith(f"{start}-")), "aws")


def policy_names(config: Config, account: str) -> Names:
    """Return the values of the placeholders in files/iam for this project."""
    aws = partition(config.AWS_REGION)

    def ours(role: str) -> str:
        return f"arn:{aws}:iam::{account}:role/{role}"

    buckets = (
        config.AWS_BUCKET,
        config.SOURCE_BUCKET,
        config.WORKSPACE_BUCKET,
        config.DESTINATION_BUCKET,
    )
    return {
        "PARTITION": aws,
        "REGION": config.AWS_REGION,
        "ACCOUNT": account,
        "APP_NAME": config.APP_NAME,
        "SERVICE": f"{config.APP_NAME}Service",
        "SCHEDULES": schedule_name(config.APP_NAME, "*"),
        "AWS_BUCKET": config.AWS_BUCKET,
        "DESTINATION_BUCKET": config.DESTINATION_BUCKET,
        "BUCKETS": tuple(dict.fromkeys(buckets)),
        "SQS_QUEUE_NAME": config.SQS_QUEUE_NAME,
        "SQS_DEAD_LETTER_QUEUE": config.SQS_DEAD_LETTER_QUEUE,
        "ECS_CLUSTER": config.ECS_CLUSTER,
        "LOG_GROUP_NAME": config.LOG_GROUP_NAME,
        "TASK_ROLE_ARN": config.TASK_ROLE_ARN or ours(TASK_ROLE),
        "EXECUTION_ROLE_ARN": config.EXECUTION_ROLE_ARN or ours(EXECUTION_ROLE),
    }


def read_policy(folder: Path, known: Names) -> list[dict[str, Any]]:
    """Return the roles that the files of a folder describe, with names for placeholders.

    A file has RoleName, Description, AssumeRolePolicyDocument; PolicyDocument (permissions for
    every project of the account), ProjectPolicyDocument (for this one), or both; and
    "InstanceProfile": true for machines. Raise UserError for another content.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            role = json.loads(path.read_text(encoding="utf-8"))
            found.append(_fill(role, known))
            _ = role["RoleName"], role["Description"], role["AssumeRolePolicyDocument"]
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not a JSON file ({error}).", "Correct it there.") from None
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{path}: {error} is missing, or is not a placeholder that setupAWS knows.",
                f"Placeholders are {', '.join('{' + name + '}' for name in known)}.",
            ) from None
    return found


def _fill(value: Any, known: Names) -> Any:
    if isinstance(value, dict):
        return {key: _fill(part, known) for key, part in value.items()}
    if isinstance(value, list):
        filled = [_fill(part, known) for part in value]
        return [one for part in filled for one in (part if isinstance(part, list) else [part])]
    return _fill_text(value, known) if isinstance(value, str) else value


def _fill_text(text: str, known: Names) -> str | list[str]:
    """Return the text with names for placeholders; several texts if a name has several values."""
    texts = [text]
    for name in dict.fromkeys(_PLACEHOLDER.findall(text)):
        found = known[name]
        meant = (found,) if isinstance(found, str) else found
        texts = [text.replace("{" + name + "}", one) for text in texts for one in meant]
    return texts[0] if len(texts) == 1 else texts


CONTROL_ROLE = "DistributedSomethingControlRole"
INSTANCE_ROLE = "DistributedSomethingInstanceRole"
EXECUTION_ROLE = "DistributedSomethingExecutionRole"
TASK_ROLE = "DistributedSomethingTaskRole"
FLEET_ROLE = "DistributedSomethingFleetRole"
MONITOR_ROLE = "DistributedSomethingMonitorRole"
SCHEDULER_ROLE = "DistributedSomethingSchedulerRole"
# The service-linked roles that only the console makes by itself, not the API. Alarms end machines
# with that of events.
_SERVICE_LINKED = (
    "spotfleet.amazonaws.com",
    "spot.amazonaws.com",
    "ecs.amazonaws.com",
    "events.amazonaws.com",
)


def role_arn(iam: IAMClient, name: str) -> str:
    """Return the ARN of a role. Raise ExplainedError if setupAWS has not made it."""
    try:
        return iam.get_role(RoleName=name)["Role"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        raise aws_errors.failure("no role", kind="role", name=name) from None


def instance_profile_arn(iam: IAMClient, name: str) -> str:
    """Return the ARN of an instance profile. Raise ExplainedError if setupAWS has not made it."""
    try:
        return iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    except iam.exceptions.NoSuchEntityException:
        raise aws_errors.failure("no role", kind="instance profile", name=name) from None


def execution_role_arn(iam: IAMClient, given: str, own_roles: bool) -> str:
    """Return the execution role: the given one, else that of setupAWS.

    "" if a site with its own roles has neither: the machines' role then pulls the images.
    """
    if given:
        return given
    try:
        return role_arn(iam, EXECUTION_ROLE)
    except ExplainedError:
        if not own_roles:
            raise
        return ""


def setup_roles(
    iam: IAMClient, described: list[dict[str, Any]], project: str, arn_prefix: str
) -> Iterator[str]:
    """Make or complete the roles (see read_policy); yield what was made or found.

    The permissions for the account are in an inline policy, those for a project in a managed one,
    `ROLE-PROJECT`: so projects add up. `arn_prefix` is arn:aws:iam::ACCOUNT.
    """
    for role in described:
        name = role["RoleName"]
        made = _make_role(iam, role)
        if "PolicyDocument" in role:
            text = json.dumps(role["PolicyDocument"])
            iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=text)
        if "ProjectPolicyDocument" in role:
            arn = f"{arn_prefix}:policy/{project_policy(name, project)}"
            _make_policy(iam, arn, role["ProjectPolicyDocument"])
            _attach(iam, name, arn)
        if role.get("InstanceProfile"):
            _make_instance_profile(iam, name)
        yield f"{'made' if made else 'already there'}: role {name}"


def setup_service_linked(iam: IAMClient) -> Iterator[str]:
    """Make the roles that AWS's own services need. They are never removed: others use them."""
    for service in _SERVICE_LINKED:
        try:
            iam.create_service_linked_role(AWSServiceName=service)
            yield f"made: service-linked role of {service}"
        except ClientError as error:
            # IAM's code for "this role name has been taken in this account".
            if aws_errors.code_of(error) not in ("InvalidInput", "EntityAlreadyExists"):
                raise
            yield f"already there: service-linked role of {service}"


def project_policy(role: str, project: str) -> str:
    """Return the name of the policy with a role's permissions for a project."""
    return f"{role}-{project}"


def remove_project(
    iam: IAMClient, described: list[dict[str, Any]], project: str, arn_prefix: str
) -> Iterator[str]:
    """Remove those policies of a project that exist."""
    for role in described:
        policy = project_policy(role["RoleName"], project)
        arn = f"{arn_prefix}:policy/{policy}"
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
        try:
            _delete_other_versions(iam, arn)
            iam.delete_policy(PolicyArn=arn)
        except iam.exceptions.NoSuchEntityException:
            continue
        yield f"removed: policy {policy}"


def projects(iam: IAMClient, described: list[dict[str, Any]]) -> list[str]:
    """Return the projects that the roles have policies for."""
    found = set()
    for role in described:
        name = role["RoleName"]
        try:
            held = list(_attached(iam, name))
        except iam.exceptions.NoSuchEntityException:
            continue
        found |= {p[len(name) + 1 :] for p in held if p.startswith(f"{name}-")}
    return sorted(found)


def remove_roles(iam: IAMClient, described: list[dict[str, Any]]) -> Iterator[str]:
    """Remove those of the roles that exist, and the machines' profile."""
    for role in described:
        name = role["RoleName"]
        gone = iam.exceptions.NoSuchEntityException
        if role.get("InstanceProfile"):
            with suppress(gone):
                _delete_profile(iam, name)
        with suppress(gone):
            iam.delete_role_policy(RoleName=name, PolicyName=name)
        try:
            iam.delete_role(RoleName=name)
        except gone:
            continue
        yield f"removed: role {name}"


def _delete_profile(iam: IAMClient, name: str) -> None:
    held = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
    for role in held:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role["RoleName"])
    iam.delete_instance_profile(InstanceProfileName=name)


def _make_role(iam: IAMClient, role: Mapping[str, Any]) -> bool:
    trust = json.dumps(role["AssumeRolePolicyDocument"])
    try:
        iam.create_role(
            RoleName=role["RoleName"],
            AssumeRolePolicyDocument=trust,
            Description=role["Description"],
            Tags=tags.of_account(),
        )
        return True
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust)
        return False


def _make_policy(iam: IAMClient, arn: str, document: Any) -> None:
    text = json.dumps(document)
    try:
        name = arn.rsplit("/", 1)[-1]
        iam.create_policy(PolicyName=name, PolicyDocument=text, Tags=tags.of_account())
        return
    except iam.exceptions.EntityAlreadyExistsException:
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    held: Any = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
    if held["Document"] != document:
        # A policy has at most five versions (IAM quotas): make room for the new one first.
        _delete_other_versions(iam, arn)
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text, SetAsDefault=True)


def _delete_other_versions(iam: IAMClient, arn: str) -> None:
    for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])


def _attach(iam: IAMClient, role: str, arn: str) -> None:
    try:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    except iam.exceptions.LimitExceededException:
        policies = ", ".join(_attached(iam, role))
        raise aws_errors.failure("policies used up", role=role, policies=policies) from None


def _attached(iam: IAMClient, role: str) -> Iterator[str]:
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        yield from (policy["PolicyName"] for policy in page["AttachedPolicies"])


def _make_instance_profile(iam: IAMClient, name: str) -> None:
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_instance_profile(InstanceProfileName=name, Tags=tags.of_account())
    # A profile holds one role: at its limit, this one is in it.
    with suppress(iam.exceptions.LimitExceededException):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
