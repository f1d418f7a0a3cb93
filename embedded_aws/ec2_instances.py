"""EC2's instances, answered from the model; those that moto itself runs come along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from embedded_aws.actions import WorldActions, at, ec2_tags
from embedded_aws.model.events import TerminateInstances
from embedded_aws.model.things import Instance

STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48}
Shape = dict[str, Any]

# Filters of DescribeInstances that are understood, beside tag:NAME.
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


class InstanceActions(WorldActions):
    """Mixed into moto's EC2."""

    refusal = EC2ClientError
    ec2_backend: Any

    def describe_instances(self) -> ActionResult:
        """DescribeInstances, by ids or filters."""
        wanted = self.param("InstanceIds", [])
        instances = self.look().instances
        filters = self._filters_from_querystring()  # type: ignore[attr-defined]
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
        """DescribeInstanceStatus: running instances only, unless all are asked for."""
        wanted = self.param("InstanceIds", [])
        instances = self.look().instances
        if wanted and not any(i in instances for i in wanted):
            result: ActionResult = super().describe_instance_status()  # type: ignore[misc]
            return result
        every = self.param("IncludeAllInstances", False)
        found = [instances[i] for i in wanted if i in instances] if wanted else instances.values()
        statuses = [_status(i) for i in found if every or i.state == "running"]
        page, more = self.page(statuses, "MaxResults", "NextToken", 1000)
        return ActionResult({"InstanceStatuses": page, **more})

    def terminate_instances(self) -> ActionResult:
        """TerminateInstances."""
        self.error_on_dryrun()  # type: ignore[attr-defined]
        wanted = self.param("InstanceIds", [])
        if not any(i in self.look().instances for i in wanted):
            result: ActionResult = super().terminate_instances()  # type: ignore[misc]
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
