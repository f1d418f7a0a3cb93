"""The pools that a RequestSpotFleet may launch from, and the ECS agent's settings in user data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.types import Base64EncodedString
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.iam.models import iam_backends

from embedded_aws.model.things import AgentConfig, LaunchSpec

# A line of a here-document for /etc/ecs/ecs.config, or of an echo to it (ECS guide,
# ecs-agent-config).
_SETTING = re.compile(
    r"""^\s*(?:echo\s+)?(?P<quote>["']?)(?P<name>ECS_[A-Z_]+)=(?P<value>.*?)(?P=quote)\s*(?:>>.*)?$""",
    re.MULTILINE,
)


def launch_specs(backend: Any, config: Mapping[str, Any]) -> Iterator[LaunchSpec]:
    """Yield one pool for each launch specification, or launch template and override.

    `backend` is moto's EC2. Raise moto's errors for a launch template that does not exist; any
    other mistake shows in the fleet's history, as with EC2: see LaunchSpec.fault.
    """
    for data in config.get("LaunchSpecifications") or []:
        groups = [group["GroupId"] for group in data.get("SecurityGroups", [])]
        for subnet in str(data.get("SubnetId") or "").split(","):
            yield _spec(backend, {**data, "SecurityGroupIds": groups, "SubnetId": subnet.strip()})
    for launch in config.get("LaunchTemplateConfigs") or []:
        template = _template(backend, launch["LaunchTemplateSpecification"])
        for override in launch.get("Overrides") or [{}]:
            yield _spec(backend, {**template, **override})


def _template(backend: Any, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    if wanted.get("LaunchTemplateId"):
        template = backend.get_launch_template(wanted["LaunchTemplateId"])
    else:
        template = backend.get_launch_template_by_name(wanted.get("LaunchTemplateName"))
    data = template.get_version(wanted.get("Version") or "$Default").data
    return {**data, "LaunchTemplateId": template.id}


def _spec(backend: Any, data: Mapping[str, Any]) -> LaunchSpec:
    fault = ""
    try:
        _check(backend, data)
    except ServiceException as wrong:
        fault = f"{wrong.message} (Service: AmazonEC2; Status Code: 400; Error Code: {wrong.code})"
    agent: AgentConfig | None = None
    try:
        agent = agent_config(_user_data(data.get("UserData")))
    except ValueError as wrong:
        # On EC2 the instance starts, but its agent does not.
        fault = fault or f"The agent cannot read its user data: {wrong}"
    price = data.get("SpotPrice")
    return LaunchSpec(
        instance_type=data.get("InstanceType", ""),
        availability_zone=_zone(backend, data),
        subnet_id=_subnet_id(data),
        image_id=data.get("ImageId", ""),
        weight=float(data.get("WeightedCapacity") or 1),
        max_price=None if price is None else float(price),
        agent=agent,
        tags=_instance_tags(data),
        details={**data, "SecurityGroupIds": _groups(data)},
        fault=fault,
    )


def _check(backend: Any, data: Mapping[str, Any]) -> None:
    """Raise EC2's error for an instance like this."""
    if data.get("InstanceType") not in INSTANCE_TYPES:
        raise EC2ClientError(
            "InvalidParameterValue", f"Invalid value '{data.get('InstanceType')}' for InstanceType."
        )
    backend.describe_images(ami_ids=[data.get("ImageId", "")])
    if _subnet_id(data):
        backend.get_subnet(_subnet_id(data))
    for group in _groups(data):
        if backend.get_security_group_from_id(group) is None:
            raise EC2ClientError(
                "InvalidGroup.NotFound", f"The security group '{group}' does not exist"
            )
    if data.get("KeyName"):
        backend.describe_key_pairs(key_names=[data["KeyName"]])
    profile = data.get("IamInstanceProfile") or {}
    name = profile.get("Name") or (profile.get("Arn") or "").rsplit("/", 1)[-1]
    known = iam_backends[backend.account_id]["aws"].instance_profiles.values()
    if name and name not in {p.name for p in known}:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({name}) for parameter iamInstanceProfile.name is invalid. "
            "Invalid IAM Instance Profile name",
        )


def _interface(data: Mapping[str, Any]) -> Mapping[str, Any]:
    interfaces = data.get("NetworkInterfaces") or [{}]
    first: Mapping[str, Any] = interfaces[0]
    return first


def _subnet_id(data: Mapping[str, Any]) -> str:
    return data.get("SubnetId") or _interface(data).get("SubnetId") or ""


def _groups(data: Mapping[str, Any]) -> list[str]:
    return list(data.get("SecurityGroupIds") or _interface(data).get("Groups") or [])


def _zone(backend: Any, data: Mapping[str, Any]) -> str:
    subnet = backend.subnets.get(_subnet_id(data)) if _subnet_id(data) else None
    if subnet:
        return str(next(iter(subnet.values())).availability_zone)
    placement = data.get("Placement") or {}
    zone = data.get("AvailabilityZone") or placement.get("AvailabilityZone")
    return str(zone or f"{backend.region_name}a")


def _user_data(value: Any) -> str:
    if value is None:
        return ""
    return (
        value if isinstance(value, Base64EncodedString) else Base64EncodedString(value)
    ).decode()


def _instance_tags(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in data.get("TagSpecifications") or []
        if specification.get("ResourceType") == "instance"
        for tag in specification.get("Tags", [])
    }


def agent_config(user_data: str) -> AgentConfig | None:
    """Return the agent's settings, or None if the user data does not mention ECS.

    Raise ValueError if ECS_INSTANCE_ATTRIBUTES is not a JSON object, which the agent refuses
    (guess).
    """
    settings = {found["name"]: _unquoted(found["value"]) for found in _SETTING.finditer(user_data)}
    if not settings:
        return None
    attributes = json.loads(settings.get("ECS_INSTANCE_ATTRIBUTES", "{}"))
    if not isinstance(attributes, dict):
        raise ValueError("ECS_INSTANCE_ATTRIBUTES is not a JSON object")
    return AgentConfig(
        cluster=settings.get("ECS_CLUSTER", "default"),
        attributes={str(name): str(value) for name, value in attributes.items()},
        reserved_memory=int(settings.get("ECS_RESERVED_MEMORY", "0")),
        spot_draining=settings.get("ECS_ENABLE_SPOT_INSTANCE_DRAINING") == "true",
    )


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
