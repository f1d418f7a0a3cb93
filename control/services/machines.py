"""EC2: what a launch template for the machines of a run says, and where its parts come from."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.errors import ExplainedError, UserError
from control.services import roles, tags
from control.services.account import AWS
from control.services.cluster import APP_ATTRIBUTE
from control.services.fleet_file import FleetFile
from control.services.task_definitions import STOP_TIMEOUT_SECONDS
from control.settings import Config

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

    from control.services.records import Run

# The current ECS-optimised Amazon Linux 2023 image (aws-facts: ECS / AMI / IMDS).
_IMAGE_PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2023/{kind}recommended/image_id"


@dataclass(frozen=True)
class Subnet:
    """A subnet and its availability zone."""

    subnet_id: str
    zone: str


@dataclass(frozen=True)
class MachineType:
    """What a machine type is, in vCPUs and MiB."""

    name: str
    vcpus: int
    memory_mib: int
    architecture: str
    gpus: int


@dataclass(frozen=True)
class Plan:
    """Every value that "auto" stood for, found in the account."""

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
    """Find what the fleet file leaves to us. Raises UserError or ExplainedError with the cure."""
    types = machine_types(aws.ec2, config.MACHINE_TYPE)
    image_id = file.image_id or newest_image(aws.ssm, types)
    root_device, image_gib = image(aws.ec2, image_id)
    vpc_id, subnets = subnets_of(aws.ec2, file.subnet_ids)
    profile = file.iam_instance_profile
    if profile is None or not profile.startswith("arn:"):
        profile = roles.instance_profile_arn(aws.iam, profile or roles.INSTANCE_ROLE)
    return Plan(
        fleet_role_arn=file.iam_fleet_role or roles.role_arn(aws.iam, roles.FLEET_ROLE),
        instance_profile_arn=profile,
        image_id=image_id,
        root_device=root_device,
        volume_gib=max(config.EBS_VOL_SIZE, image_gib),
        subnets=subnets,
        security_group_ids=file.security_group_ids or default_group(aws.ec2, vpc_id),
        types=types,
        # Distributed-Something's config names the key's file, EC2 the key.
        key_name=(config.SSH_KEY_NAME or "").removesuffix(".pem"),
    )


def machine_types(ec2: EC2Client, names: Sequence[str]) -> tuple[MachineType, ...]:
    """The machine types in the order given. Raises UserError for one that EC2 does not have."""
    wanted: Any = list(dict.fromkeys(names))
    try:
        found = ec2.describe_instance_types(InstanceTypes=wanted)["InstanceTypes"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("InvalidInstanceType", "InvalidParameterValue"):
            raise
        raise UserError(
            f"MACHINE_TYPE holds a type that EC2 does not have here: "
            f"{error.response['Error']['Message']}",
            "Correct MACHINE_TYPE in config.py, for example ['m5.xlarge', 'm6i.xlarge'].",
        ) from None
    by_name = {str(t["InstanceType"]): _machine_type(t) for t in found}
    types = tuple(by_name[name] for name in wanted)
    kinds = {(t.architecture, t.gpus > 0) for t in types}
    if len(kinds) > 1:
        raise UserError(
            f"MACHINE_TYPE mixes machines that need different images: {', '.join(wanted)}.",
            "Use types of one architecture (x86_64 or arm64), all with or all without GPUs.",
        )
    return types


def _machine_type(described: Any) -> MachineType:
    architectures = described["ProcessorInfo"]["SupportedArchitectures"]
    return MachineType(
        name=described["InstanceType"],
        vcpus=described["VCpuInfo"]["DefaultVCpus"],
        memory_mib=described["MemoryInfo"]["SizeInMiB"],
        architecture="arm64" if "arm64" in architectures else "x86_64",
        gpus=sum(gpu["Count"] for gpu in described.get("GpuInfo", {}).get("Gpus", [])),
    )


def newest_image(ssm: SSMClient, types: Sequence[MachineType]) -> str:
    """The AMI that AWS recommends today for machines of these types."""
    kind = "gpu/" if types[0].gpus else "arm64/" if types[0].architecture == "arm64" else ""
    name = _IMAGE_PARAMETER.format(kind=kind)
    return ssm.get_parameter(Name=name)["Parameter"]["Value"]


def image(ec2: EC2Client, image_id: str) -> tuple[str, int]:
    """(root device, GiB of its snapshot) of an AMI."""
    try:
        images = ec2.describe_images(ImageIds=[image_id])["Images"]
    except ClientError as error:
        if not error.response["Error"]["Code"].startswith("InvalidAMIID"):
            raise
        images = []
    if not images:
        raise UserError(
            f"The image {image_id} is not in this region.",
            'Write "ImageId": "auto" in the fleet file.',
        )
    found = images[0]
    root = found["RootDeviceName"]
    sizes = [
        mapping["Ebs"].get("VolumeSize", 0)
        for mapping in found["BlockDeviceMappings"]
        if mapping.get("DeviceName") == root and "Ebs" in mapping
    ]
    return root, max(sizes, default=0)


def subnets_of(ec2: EC2Client, given: Sequence[str] | None) -> tuple[str, tuple[Subnet, ...]]:
    """(VPC, one subnet an availability zone: the one with most free addresses)."""
    if given:
        found = ec2.describe_subnets(SubnetIds=list(given))["Subnets"]
    else:
        vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not vpcs:
            raise ExplainedError(
                "This account has no default VPC in this region, so no subnet can be chosen.",
                'Write "SubnetIds": ["subnet-..."] into the fleet file; ask your administrator.',
            )
        vpc = [{"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}]
        found = ec2.describe_subnets(Filters=vpc)["Subnets"]  # type: ignore[arg-type]
    best: dict[str, Any] = {}
    for subnet in found:
        zone = subnet["AvailabilityZone"]
        free = subnet["AvailableIpAddressCount"]
        if zone not in best or free > best[zone]["AvailableIpAddressCount"]:
            best[zone] = subnet
    if not best:
        raise ExplainedError(
            "The default VPC has no subnets.",
            'Write "SubnetIds": ["subnet-..."] into the fleet file; ask your administrator.',
        )
    chosen = tuple(Subnet(best[zone]["SubnetId"], zone) for zone in sorted(best))
    return found[0]["VpcId"], chosen


def default_group(ec2: EC2Client, vpc_id: str) -> tuple[str, ...]:
    """The default security group of a VPC: it lets everything out and nobody else in."""
    groups = ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc_id]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    return tuple(group["GroupId"] for group in groups[:1])


def user_data(run: Run, gpu: bool) -> str:
    """The script that makes a machine join the cluster as one of this app's.

    The name of each setting is in the ECS agent's own documentation (aws-facts: ECS).
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


def launch_template_data(run: Run, plan: Plan) -> dict[str, Any]:
    """What every machine of the run is, whichever type and zone it comes in."""
    settings = run.settings
    interface: dict[str, Any] = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": settings["ASSIGN_IP"],
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
