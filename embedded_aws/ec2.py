"""moto's EC2 with the model's instances in it, and spot prices; fleets are in spot_fleets.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import moto.ec2.urls as urls
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response

from embedded_aws.actions import at, ec2_tags
from embedded_aws.machine_types import MachineTypes
from embedded_aws.model.events import TerminateInstances
from embedded_aws.model.things import Instance
from embedded_aws.spot_fleets import FleetActions
from embedded_aws.worlds import Worlds

DEFAULT_ZONES = "abc"
STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48}
Shape = dict[str, Any]

# The supported filters of DescribeInstances, in addition to tag:NAME.
FILTERS: Mapping[str, Callable[[Shape], Iterable[str]]] = {
    "instance-id": lambda i: [i["InstanceId"]],
    "instance-state-name": lambda i: [i["State"]["Name"]],
    "instance-state-code": lambda i: [str(i["State"]["Code"])],
    "instance-type": lambda i: [i["InstanceType"]],
    "instance-lifecycle": lambda i: [i["InstanceLifecycle"]],
    "spot-instance-request-id": lambda i: [i["SpotInstanceRequestId"]],
    "availability-zone": lambda i: [i["Placement"]["AvailabilityZone"]],
    "image-id": lambda i: [i["ImageId"]],
    "subnet-id": lambda i: [i.get("SubnetId", "")],
    "vpc-id": lambda i: [i.get("VpcId", "")],
    "tag-key": lambda i: [tag["Key"] for tag in i["Tags"]],
    "tag-value": lambda i: [tag["Value"] for tag in i["Tags"]],
}
_moto_default_vpc = EC2Backend.create_default_vpc


class EC2Actions(FleetActions, EC2Response):
    """moto's EC2, where a request that the model does not answer stays moto's own."""

    def describe_instances(self) -> ActionResult:
        """Answer DescribeInstances, by ids or filters."""
        wanted = self.param("InstanceIds", [])
        instances = self.look().instances
        filters: Any = self._filters_from_querystring()
        ours = [instances[i] for i in wanted if i in instances] if wanted else instances.values()
        shapes = [self._describe_instance(instance) for instance in ours]
        reservations: list[Any] = [
            {
                "ReservationId": f"r-{shape['InstanceId'][2:]}",
                "OwnerId": self.current_account,
                "RequesterId": self.current_account,
                "Groups": [],
                "Instances": [shape],
            }
            for shape in shapes
            if _matches(shape, filters)
        ]
        reservations += self._of_moto([i for i in wanted if i not in instances], wanted, filters)
        page, more = self.page(reservations, "MaxResults", "NextToken", 1000)
        return ActionResult({"Reservations": page, **more})

    def describe_instance_status(self) -> ActionResult:
        """Answer DescribeInstanceStatus: running instances only, unless all are requested."""
        wanted = self.param("InstanceIds", [])
        instances = self.look().instances
        if wanted and not any(i in instances for i in wanted):
            result: ActionResult = super().describe_instance_status()
            return result
        every = self.param("IncludeAllInstances", False)
        found = [instances[i] for i in wanted if i in instances] if wanted else instances.values()
        statuses = [_status(i) for i in found if every or i.state == "running"]
        page, more = self.page(statuses, "MaxResults", "NextToken", 1000)
        return ActionResult({"InstanceStatuses": page, **more})

    def terminate_instances(self) -> ActionResult:
        """Answer TerminateInstances."""
        self.error_on_dryrun()
        wanted = self.param("InstanceIds", [])
        if not any(i in self.look().instances for i in wanted):
            result: ActionResult = super().terminate_instances()
            return result
        before = self.act(TerminateInstances(tuple(wanted)))
        instances = self.look().instances
        changed = [
            {
                "InstanceId": instance_id,
                "PreviousState": _state(state),
                "CurrentState": _state(instances[instance_id].state),
            }
            for instance_id, state in before
        ]
        return ActionResult({"TerminatingInstances": changed})

    def _of_moto(self, others: list[str], wanted: list[str], filters: Any) -> list[Any]:
        if others:
            found: list[Any] = self.ec2_backend.get_reservations_by_instance_ids(
                others, filters=filters
            )
            return found
        return [] if wanted else list(self.ec2_backend.describe_instances(filters=filters))

    def _describe_instance(self, instance: Instance) -> Shape:
        spec = instance.spec
        own = {
            "aws:ec2spot:fleet-request-id": instance.fleet_id,
            "aws:ec2launchtemplate:id": spec.details.get("LaunchTemplateId", ""),
        }
        shape: Shape = {
            "InstanceId": instance.id,
            "ImageId": spec.image_id,
            "InstanceType": spec.instance_type,
            "InstanceLifecycle": "spot",
            "SpotInstanceRequestId": instance.spot_request_id,
            "LaunchTime": at(instance.launched),
            "State": _state(instance.state),
            "Placement": {"AvailabilityZone": spec.availability_zone, "Tenancy": "default"},
            "Architecture": self.look().machine_types[spec.instance_type].architecture,
            "Monitoring": {"State": _monitoring(spec.details)},
            "PrivateIpAddress": _address(instance.number),
            "SecurityGroups": [{"GroupId": g} for g in spec.details.get("SecurityGroupIds", [])],
            "Tags": ec2_tags(
                {name: value for name, value in own.items() if value},
                spec.tags,
                self.ec2_backend.tags.get(instance.id, {}),
            ),
        }
        if spec.subnet_id:
            shape["SubnetId"] = spec.subnet_id
            shape["VpcId"] = self.ec2_backend.get_subnet(spec.subnet_id).vpc_id
        if spec.details.get("KeyName"):
            shape["KeyName"] = spec.details["KeyName"]
        if spec.details.get("IamInstanceProfile"):
            shape["IamInstanceProfile"] = dict(spec.details["IamInstanceProfile"])
        if instance.reason_code:
            shape["StateReason"] = {"Code": instance.reason_code, "Message": instance.reason}
            shape["StateTransitionReason"] = instance.reason
        return shape

    def describe_spot_price_history(self) -> ActionResult:
        """Answer DescribeSpotPriceHistory with the invented prices, as of now."""
        types = MachineTypes()
        filters = self._filters_from_querystring()
        wanted = self.param("InstanceTypes") or filters.get("instance-type") or list(types)
        zone = self.param("AvailabilityZone")
        zones = [zone] if zone else filters.get("availability-zone")
        zones = zones or [f"{self.region}{letter}" for letter in DEFAULT_ZONES]
        products = self.param("ProductDescriptions") or ["Linux/UNIX"]
        history = [
            {
                "InstanceType": name,
                "AvailabilityZone": place,
                "ProductDescription": products[0],
                "SpotPrice": f"{types[name].spot_price:.6f}",
                "Timestamp": at(time.time()),
            }
            for name in wanted
            if name in types
            for place in zones
        ]
        page, more = self.page(history, "MaxResults", "NextToken", 1000)
        return ActionResult({"SpotPriceHistory": page, **more})


def create_default_vpc(self: Any) -> Any:
    """Add to moto's default VPC its internet gateway (VPC guide, default VPC components)."""
    vpc = _moto_default_vpc(self)
    gateway = self.create_internet_gateway()
    self.attach_internet_gateway(gateway.id, vpc.id)
    (main,) = self.describe_route_tables(filters={"vpc-id": vpc.id})
    self.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)
    return vpc


def install(worlds: Worlds) -> None:
    """Make moto's server use it. Call this before the first request."""
    setattr(EC2Backend, create_default_vpc.__name__, create_default_vpc)
    EC2Actions.worlds = worlds
    urls.url_paths = {"{0}/": EC2Actions.dispatch}


def _state(name: str) -> Shape:
    return {"Code": STATE_CODES[name], "Name": name}


def _monitoring(details: Mapping[str, Any]) -> str:
    return "enabled" if (details.get("Monitoring") or {}).get("Enabled") else "disabled"


def _address(number: int) -> str:
    return f"172.31.{number // 250 % 250}.{number % 250 + 4}"


def _status(instance: Instance) -> Shape:
    status = "ok" if instance.state == "running" else "not-applicable"
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.spec.availability_zone,
        "InstanceState": _state(instance.state),
        "InstanceStatus": {"Status": status, "Details": []},
        "SystemStatus": {"Status": status, "Details": []},
    }


def _matches(shape: Shape, filters: Mapping[str, list[str]]) -> bool:
    return all(
        any(fnmatchcase(value, wanted) for value in _values(shape, name) for wanted in values)
        for name, values in filters.items()
    )


def _values(shape: Shape, name: str) -> Iterable[str]:
    if name.startswith("tag:"):
        return [tag["Value"] for tag in shape["Tags"] if tag["Key"] == name[4:]]
    if name not in FILTERS:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return FILTERS[name](shape)
