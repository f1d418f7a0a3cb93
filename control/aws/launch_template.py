"""EC2: the launch template of a fleet."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.aws import iam, tags
from control.aws.ec2 import (
    MachineType,
    Subnet,
    default_security_group,
    describe_machine_image,
    describe_machine_types,
    find_subnets,
    newest_machine_image,
)
from control.aws.ecs import APP_ATTRIBUTE, STOP_TIMEOUT_SECONDS
from control.aws.session import AWS
from control.config import Config
from control.explain import aws_errors
from control.user_files.fleet_file import FleetFile

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from control.model import Run


@dataclass(frozen=True)
class Plan:
    """Every value of the machines, with those found in the account for "auto"."""

    fleet_role_arn: str
    instance_profile_arn: str
    image_id: str
    root_device: str
    volume_gib: int
    subnets: tuple[Subnet, ...]
    security_group_ids: tuple[str, ...]
    types: tuple[MachineType, ...]
    key_name: str = ""


def plan(aws: AWS, config: Config, file: FleetFile) -> Plan:
    """Find the values that are "auto" in the fleet file. Raise UserError or ExplainedError."""
    types = describe_machine_types(aws.ec2, config.MACHINE_TYPE)
    image_id = file.image_id or newest_machine_image(aws.ssm, types)
    root_device, image_gib = describe_machine_image(aws.ec2, image_id)
    vpc_id, subnets = find_subnets(aws.ec2, file.subnet_ids)
    profile = file.iam_instance_profile
    if profile is None or not profile.startswith("arn:"):
        profile = iam.instance_profile_arn(aws.iam, profile or iam.INSTANCE_ROLE)
    return Plan(
        fleet_role_arn=file.iam_fleet_role or iam.role_arn(aws.iam, iam.FLEET_ROLE),
        instance_profile_arn=profile,
        image_id=image_id,
        root_device=root_device,
        volume_gib=max(config.EBS_VOL_SIZE, image_gib),
        subnets=subnets,
        security_group_ids=file.security_group_ids or default_security_group(aws.ec2, vpc_id),
        types=types,
        # config.py of Distributed-Something has the file of the key, EC2 wants its name.
        key_name=(config.SSH_KEY_NAME or "").removesuffix(".pem"),
    )


def user_data(run: Run, gpu: bool) -> str:
    """Return the script by which a machine joins the cluster as one of this app's.

    The settings are in the documentation of the ECS agent (aws-facts: ECS).
    """
    agent = {
        "ECS_CLUSTER": run.cluster,
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING": "true",
        "ECS_INSTANCE_ATTRIBUTES": json.dumps({APP_ATTRIBUTE: run.app_name}),
        "ECS_CONTAINER_STOP_TIMEOUT": f"{STOP_TIMEOUT_SECONDS}s",
        **({"ECS_ENABLE_GPU_SUPPORT": "true"} if gpu else {}),
    }
    lines = "\n".join(f"{name}={value}" for name, value in agent.items())
    return f"#!/bin/bash\ncat <<'EOF' >> /etc/ecs/ecs.config\n{lines}\nEOF\n"


def data(run: Run, plan: Plan) -> dict[str, Any]:
    """Return the launch template of every machine of the run, of any type and zone."""
    interface: dict[str, Any] = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": run.config.ASSIGN_IP,
        "DeleteOnTermination": True,
    }
    if plan.security_group_ids:
        interface["Groups"] = list(plan.security_group_ids)
    volume = {"VolumeSize": plan.volume_gib, "VolumeType": "gp3", "DeleteOnTermination": True}
    script = user_data(run, gpu=plan.types[0].gpus > 0)
    return {
        **({"KeyName": plan.key_name} if plan.key_name else {}),
        "ImageId": plan.image_id,
        "IamInstanceProfile": {"Arn": plan.instance_profile_arn},
        "BlockDeviceMappings": [{"DeviceName": plan.root_device, "Ebs": volume}],
        "NetworkInterfaces": [interface],
        "UserData": base64.b64encode(script.encode()).decode(),
        # A container is one hop further away than the machine; a template defaults to 1.
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "Monitoring": {"Enabled": True},
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tags.of_ec2(run)} for kind in ("instance", "volume")
        ],
    }


def ensure(ec2: EC2Client, run: Run, name: str, data: dict[str, Any]) -> None:
    """Make the launch template; if one has this name, the same request has made it before."""
    specification: Any = [{"ResourceType": "launch-template", "Tags": tags.of_ec2(run)}]
    try:
        ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData=data,  # type: ignore[arg-type]
            TagSpecifications=specification,
        )
    except ClientError as error:
        if aws_errors.code_of(error) != "InvalidLaunchTemplateName.AlreadyExistsException":
            raise


def of_run(ec2: EC2Client, run: Run) -> list[str]:
    """Return the names of the launch templates of the run."""
    pages = ec2.get_paginator("describe_launch_templates").paginate(Filters=tags.filters(run))
    return [found["LaunchTemplateName"] for page in pages for found in page["LaunchTemplates"]]


def delete(ec2: EC2Client, name: str) -> None:
    """Delete a launch template if it exists."""
    named = [{"Name": "launch-template-name", "Values": [name]}]
    for found in ec2.describe_launch_templates(Filters=named)["LaunchTemplates"]:  # type: ignore[arg-type]
        ec2.delete_launch_template(LaunchTemplateId=found["LaunchTemplateId"])
