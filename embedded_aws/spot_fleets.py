"""EC2's spot fleet requests, answered from the model (botocore: ec2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from embedded_aws.actions import WorldActions, at, ec2_tags
from embedded_aws.launch_specs import launch_specs
from embedded_aws.model import Refused, World
from embedded_aws.model.events import CancelFleet, ModifyFleet, RequestFleet
from embedded_aws.model.fleet_history import shown
from embedded_aws.model.fleets import activity, find, fulfilled
from embedded_aws.model.pools import members
from embedded_aws.model.things import NEVER, Fleet

MOST_CANCELLED = 100  # botocore: ec2.CancelSpotFleetRequests


class FleetActions(WorldActions):
    """A mixin for moto's EC2."""

    refusal = EC2ClientError
    ec2_backend: Any

    def request_spot_fleet(self) -> ActionResult:
        """Answer RequestSpotFleet."""
        self.error_on_dryrun()  # type: ignore[attr-defined]
        config = self.param("SpotFleetRequestConfig", {})
        _check(config)
        specs = tuple(launch_specs(self.ec2_backend, config))
        valid_until = config.get("ValidUntil")
        event = RequestFleet(
            specs=specs,
            target=int(config["TargetCapacity"]),
            config=config,
            tags=_fleet_tags(config),
            client_token=config.get("ClientToken") or "",
            maintain=config.get("Type", "maintain") == "maintain",
            strategy=config.get("AllocationStrategy") or "lowestPrice",
            max_price=_number(config.get("SpotPrice")),
            max_total_price=_number(config.get("SpotMaxTotalPrice")),
            valid_until=NEVER if valid_until is None else _seconds(valid_until),
            terminate_at_expiry=bool(config.get("TerminateInstancesWithExpiration")),
            keep_excess=_keeps(config.get("ExcessCapacityTerminationPolicy")),
        )
        return ActionResult({"SpotFleetRequestId": self.act(event)})

    def describe_spot_fleet_requests(self) -> ActionResult:
        """Answer DescribeSpotFleetRequests."""
        world = self.look()
        wanted = self.param("SpotFleetRequestIds") or list(world.fleets)
        page, more = self.page(wanted, "MaxResults", "NextToken", 1000)
        configs = [self._describe_fleet(world, self._fleet(world, fleet_id)) for fleet_id in page]
        return ActionResult({"SpotFleetRequestConfigs": configs, **more})

    def describe_spot_fleet_instances(self) -> ActionResult:
        """Answer DescribeSpotFleetInstances: the running instances."""
        world = self.look()
        fleet = self._fleet(world, self.param("SpotFleetRequestId"))
        page, more = self.page(members(world).get(fleet.id, []), "MaxResults", "NextToken", 1000)
        active = [
            {
                "InstanceId": instance.id,
                "InstanceType": instance.spec.instance_type,
                "SpotInstanceRequestId": instance.spot_request_id,
                "InstanceHealth": "healthy",
            }
            for instance in page
        ]
        return ActionResult({"SpotFleetRequestId": fleet.id, "ActiveInstances": active, **more})

    def describe_spot_fleet_request_history(self) -> ActionResult:
        """Answer DescribeSpotFleetRequestHistory: oldest first."""
        world = self.look()
        fleet = self._fleet(world, self.param("SpotFleetRequestId"))
        since = _seconds(self.param("StartTime"))
        now = self.worlds.now()
        kind = self.param("EventType")
        records = [r for r in shown(world, fleet, since, now) if kind in (None, r.event_type)]
        page, more = self.page(records, "MaxResults", "NextToken", 1000)
        history = [
            {
                "Timestamp": at(record.at),
                "EventType": record.event_type,
                "EventInformation": {
                    "EventSubType": record.sub_type,
                    **({"EventDescription": record.description} if record.description else {}),
                    **({"InstanceId": record.instance_id} if record.instance_id else {}),
                },
            }
            for record in page
        ]
        return ActionResult(
            {
                "SpotFleetRequestId": fleet.id,
                "StartTime": at(since),
                "LastEvaluatedTime": at(now - world.timings.history_delay),
                "HistoryRecords": history,
                **more,
            }
        )

    def modify_spot_fleet_request(self) -> ActionResult:
        """Answer ModifySpotFleetRequest."""
        target = self.param("TargetCapacity")
        policy = self.param("ExcessCapacityTerminationPolicy")
        self.act(
            ModifyFleet(
                self.param("SpotFleetRequestId"),
                None if target is None else int(target),
                None if policy is None else _keeps(policy),
            )
        )
        return ActionResult({"Return": True})

    def cancel_spot_fleet_requests(self) -> ActionResult:
        """Answer CancelSpotFleetRequests: each succeeds or fails by itself."""
        wanted = self.param("SpotFleetRequestIds", [])
        if len(wanted) > MOST_CANCELLED:
            raise EC2ClientError("InvalidParameterValue", "At most 100 fleets in one request.")
        terminate = bool(self.param("TerminateInstances", False))
        done, failed = [], []
        for fleet_id in wanted:
            try:
                event = CancelFleet(fleet_id, terminate)
                before, state = self.worlds.act(self.current_account, self.region, event)
            except Refused as refused:
                failed.append(_failed(fleet_id, "fleetRequestIdDoesNotExist", refused.message))
                continue
            if before == state:
                message = f"The fleet request is in the state {state}."
                failed.append(_failed(fleet_id, "fleetRequestNotInCancellableState", message))
                continue
            done.append(
                {
                    "SpotFleetRequestId": fleet_id,
                    "PreviousSpotFleetRequestState": before,
                    "CurrentSpotFleetRequestState": state,
                }
            )
        return ActionResult({"SuccessfulFleetRequests": done, "UnsuccessfulFleetRequests": failed})

    def _fleet(self, world: World, fleet_id: str) -> Fleet:
        with self.refusals():
            return find(world, fleet_id)

    def _describe_fleet(self, world: World, fleet: Fleet) -> dict[str, Any]:
        config = {
            name: value for name, value in fleet.config.items() if name != "TagSpecifications"
        }
        config["Type"] = "maintain" if fleet.maintain else "request"
        config["AllocationStrategy"] = fleet.strategy
        config["TargetCapacity"] = fleet.target
        config["FulfilledCapacity"] = fulfilled(world, fleet)
        config["OnDemandTargetCapacity"] = 0
        config["OnDemandFulfilledCapacity"] = 0.0
        config["ExcessCapacityTerminationPolicy"] = (
            "noTermination" if fleet.keep_excess else "default"
        )
        return {
            "SpotFleetRequestId": fleet.id,
            "SpotFleetRequestState": fleet.state,
            "ActivityStatus": activity(world, fleet),
            "CreateTime": at(fleet.created),
            "SpotFleetRequestConfig": config,
            "Tags": ec2_tags(fleet.tags, self.ec2_backend.tags.get(fleet.id, {})),
        }


def _check(config: Mapping[str, Any]) -> None:
    """Raise what RequestSpotFleet refuses at once (EC2 API error codes)."""
    templates, specifications = (
        bool(config.get("LaunchTemplateConfigs")),
        bool(config.get("LaunchSpecifications")),
    )
    if templates == specifications:
        raise EC2ClientError(
            "InvalidSpotFleetRequestConfig",
            "Exactly one of LaunchSpecifications and LaunchTemplateConfigs must be given.",
        )
    role = str(config.get("IamFleetRole", ""))
    if not role.startswith("arn:aws:iam::") or ":role/" not in role:
        raise EC2ClientError(
            "InvalidSpotFleetRequestConfig",
            "Parameter: SpotFleetRequestConfig.IamFleetRole is invalid.",
        )
    for specification in config.get("TagSpecifications") or []:
        if specification.get("ResourceType") != "spot-fleet-request":
            raise EC2ClientError(
                "InvalidParameterValue",
                f"The value for `ResourceType` must be `spot-fleet-request`, but got "
                f"`{specification.get('ResourceType')}` instead.",
            )


def _fleet_tags(config: Mapping[str, Any]) -> dict[str, str]:
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in config.get("TagSpecifications") or []
        for tag in specification.get("Tags", [])
    }


def _failed(fleet_id: str, code: str, message: str) -> dict[str, Any]:
    return {"SpotFleetRequestId": fleet_id, "Error": {"Code": code, "Message": message}}


def _keeps(policy: str | None) -> bool:
    """Return whether the policy is noTermination; EC2 accepts `NoTermination` too (guess)."""
    return (policy or "default").lower() == "notermination"


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    when: datetime = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    return when.timestamp()
