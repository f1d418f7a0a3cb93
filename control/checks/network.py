"""Check subnets, their way to the internet, and security groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from control.aws.ec2 import default_security_group, find_subnets
from control.checks import image
from control.checks.findings import Finding, Subject, failed, passed, unknown, warned
from control.explain import aws_errors
from control.text import several

EVERYWHERE = ("0.0.0.0/0", "::/0")
# What a machine and its containers call, by the last part of an endpoint's service name (ECS
# guide, interface VPC endpoints; the worker's calls).
_NEEDED = ("ecs", "ecs-agent", "ecs-telemetry", "sqs", "logs", "s3")
_FOR_ECR = ("ecr.api", "ecr.dkr")


def subnets(subject: Subject) -> Iterator[Finding]:
    """Check for one VPC, a way out of each subnet, and an address for each machine."""
    found = _subnets(subject)
    if isinstance(found, Finding):
        yield found
        return
    vpcs = sorted({subnet["VpcId"] for subnet in found})
    if len(vpcs) > 1:
        yield failed("subnets", "subnets apart", vpcs=", ".join(vpcs))
        return
    yield from _ways_out(subject, vpcs[0], found)
    free = sum(subnet["AvailableIpAddressCount"] for subnet in found)
    wanted = subject.config.CLUSTER_MACHINES
    if free < wanted:
        yield warned("subnets", "few addresses", free=free, machines=several(wanted, "machine"))


def _subnets(subject: Subject) -> list[Any] | Finding:
    """Return the subnets that startCluster will use, described; or why there are none."""
    ec2 = subject.aws.ec2
    try:
        _, chosen = find_subnets(ec2, subject.file.subnet_ids)
        ids = subject.file.subnet_ids or [subnet.subnet_id for subnet in chosen]
        return list(ec2.describe_subnets(SubnetIds=list(ids))["Subnets"])
    except ClientError as error:
        if not aws_errors.code_of(error).startswith("InvalidSubnet"):
            raise
        values = {"message": aws_errors.message_of(error), "region": subject.config.AWS_REGION}
        return failed("subnets", "no subnet", **values)


def _ways_out(subject: Subject, vpc: str, found: list[Any]) -> Iterator[Finding]:
    in_vpc: Any = [{"Name": "vpc-id", "Values": [vpc]}]
    pages = subject.aws.ec2.get_paginator("describe_route_tables").paginate(Filters=in_vpc)
    tables: list[Any] = [table for page in pages for table in page["RouteTables"]]
    by_way: dict[str, list[str]] = {}
    for subnet in found:
        by_way.setdefault(way_out(tables, subnet["SubnetId"]), []).append(subnet["SubnetId"])
    for way, ids in by_way.items():
        named = ", ".join(sorted(ids))
        if way == "internet gateway" and not subject.config.ASSIGN_IP:
            yield failed("subnets", "no address", subnets=named)
        elif way:
            yield passed("subnets", f"{named} of {vpc}: out by {way}")
        else:
            missing = list(_missing_endpoints(subject, in_vpc))
            if missing:
                words = ", ".join(missing)
                yield failed("subnets", "no way out", subnets=named, missing=words)
            else:
                yield passed("subnets", f"{named} of {vpc}: to AWS by VPC endpoints")


def way_out(tables: Iterable[Mapping[str, Any]], subnet_id: str) -> str:
    """Return how a subnet's packets leave the VPC; "" if they do not. A subnet without a route
    table of its own has the VPC's main one (VPC guide, route tables)."""
    main: Mapping[str, Any] = {}
    own: Mapping[str, Any] = {}
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet_id:
                own = table
            elif association.get("Main"):
                main = table
    for route in (own or main).get("Routes", []):
        where = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
        if where in EVERYWHERE and route.get("State", "active") == "active":
            return _target(route)
    return ""


def _target(route: Mapping[str, Any]) -> str:
    if str(route.get("GatewayId", "")).startswith("igw-"):
        return "internet gateway"
    if route.get("NatGatewayId"):
        return f"NAT gateway {route['NatGatewayId']}"
    if route.get("TransitGatewayId"):
        return f"transit gateway {route['TransitGatewayId']}"
    others = ("EgressOnlyInternetGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId")
    return next((str(route[name]) for name in others if route.get(name)), "a gateway")


def _missing_endpoints(subject: Subject, in_vpc: Any) -> Iterator[str]:
    pages = subject.aws.ec2.get_paginator("describe_vpc_endpoints").paginate(Filters=in_vpc)
    there = {
        endpoint["ServiceName"].split(f".{subject.config.AWS_REGION}.", 1)[-1]
        for page in pages
        for endpoint in page["VpcEndpoints"]
        if endpoint.get("State", "available").lower() == "available"
    }
    ecr = _FOR_ECR if image.parse(subject.config.DOCKERHUB_TAG).ecr else ()
    yield from (name for name in (*_NEEDED, *ecr) if name not in there)
    if not ecr:
        yield "the image, which is not in ECR"


def groups(subject: Subject) -> Iterator[Finding]:
    """Check that the security groups are in the subnets' VPC and let packets out."""
    ids = subject.file.security_group_ids
    found = _subnets(subject)
    if isinstance(found, Finding):
        yield unknown("security groups", "the subnets are not known")
        return
    vpc = found[0]["VpcId"]
    wanted = list(ids or default_security_group(subject.aws.ec2, vpc))
    words = {"groups": ", ".join(wanted), "region": subject.config.AWS_REGION}
    try:
        answer = subject.aws.ec2.describe_security_groups(GroupIds=wanted)
    except ClientError as error:
        if not aws_errors.code_of(error).startswith("InvalidGroup"):
            raise
        yield failed("security groups", "no group", **words)
        return
    described: list[Any] = list(answer["SecurityGroups"])
    elsewhere = [group for group in described if group["VpcId"] != vpc]
    for group in elsewhere:
        there = {"group": group["GroupId"], "there": group["VpcId"]}
        yield failed("security groups", "group elsewhere", vpc=vpc, **there)
    if not any(group["IpPermissionsEgress"] for group in described):
        yield failed("security groups", "nothing let out", **words)
    elif not elsewhere:
        yield passed("security groups", f"{words['groups']} of {vpc}")
