"""EC2: machine types, machine images, subnets and security groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.explain import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

# The current ECS-optimized Amazon Linux 2023 image (aws-facts: ECS / AMI / IMDS).
_IMAGE_PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2023/{kind}recommended/image_id"


@dataclass(frozen=True)
class Subnet:
    """A subnet and its availability zone."""

    subnet_id: str
    zone: str


@dataclass(frozen=True)
class MachineType:
    """A machine type, with its vCPUs and MiB."""

    name: str
    vcpus: int
    memory_mib: int
    architecture: str
    gpus: int


def describe_machine_types(ec2: EC2Client, names: Sequence[str]) -> tuple[MachineType, ...]:
    """Return the machine types in this order. Raise UserError for one that EC2 does not have."""
    wanted: Any = list(dict.fromkeys(names))
    try:
        found = ec2.describe_instance_types(InstanceTypes=wanted)["InstanceTypes"]
    except ClientError as error:
        if aws_errors.code_of(error) not in ("InvalidInstanceType", "InvalidParameterValue"):
            raise
        message = aws_errors.message_of(error)
        raise aws_errors.failure("no machine type", message=message) from None
    by_name = {str(t["InstanceType"]): _machine_type(t) for t in found}
    types = tuple(by_name[name] for name in wanted)
    kinds = {(t.architecture, t.gpus > 0) for t in types}
    if len(kinds) > 1:
        raise aws_errors.failure("mixed machine types", types=", ".join(wanted))
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


def newest_machine_image(ssm: SSMClient, types: Sequence[MachineType]) -> str:
    """Return the AMI that AWS recommends today for machines of these types."""
    kind = "gpu/" if types[0].gpus else "arm64/" if types[0].architecture == "arm64" else ""
    name = _IMAGE_PARAMETER.format(kind=kind)
    return ssm.get_parameter(Name=name)["Parameter"]["Value"]


def describe_machine_image(ec2: EC2Client, image_id: str) -> tuple[str, int]:
    """Return (root device, GiB of its snapshot) of an AMI."""
    try:
        images = ec2.describe_images(ImageIds=[image_id])["Images"]
    except ClientError as error:
        if not aws_errors.code_of(error).startswith("InvalidAMIID"):
            raise
        images = []
    if not images:
        raise aws_errors.failure("no machine image", image=image_id)
    found = images[0]
    root = found["RootDeviceName"]
    sizes = [
        mapping["Ebs"].get("VolumeSize", 0)
        for mapping in found["BlockDeviceMappings"]
        if mapping.get("DeviceName") == root and "Ebs" in mapping
    ]
    return root, max(sizes, default=0)


def find_subnets(ec2: EC2Client, given: Sequence[str] | None) -> tuple[str, tuple[Subnet, ...]]:
    """Return (VPC, in each availability zone the subnet with the most free addresses)."""
    if given:
        found = ec2.describe_subnets(SubnetIds=list(given))["Subnets"]
    else:
        vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not vpcs:
            raise aws_errors.failure("no default VPC")
        vpc = [{"Name": "vpc-id", "Values": [vpcs[0]["VpcId"]]}]
        found = ec2.describe_subnets(Filters=vpc)["Subnets"]  # type: ignore[arg-type]
    best: dict[str, Any] = {}
    for subnet in found:
        zone = subnet["AvailabilityZone"]
        free = subnet["AvailableIpAddressCount"]
        if zone not in best or free > best[zone]["AvailableIpAddressCount"]:
            best[zone] = subnet
    if not best:
        raise aws_errors.failure("no default VPC")
    chosen = tuple(Subnet(best[zone]["SubnetId"], zone) for zone in sorted(best))
    return found[0]["VpcId"], chosen


def default_security_group(ec2: EC2Client, vpc_id: str) -> tuple[str, ...]:
    """Return the default security group of a VPC: it allows all to leave and nobody to enter."""
    groups = ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc_id]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    return tuple(group["GroupId"] for group in groups[:1])
