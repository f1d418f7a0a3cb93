"""EC2: spot fleets and their machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.aws import tags
from control.aws.launch_template import Plan
from control.explain import aws_errors
from control.model import seconds, utc

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from control.model import Run

# A fleet in one of these states costs money or may do so again.
LIVE_STATES = ("submitted", "active", "modifying")
_TERMINATED_AT_ONCE = 100
# For this long EC2 may not list a new fleet (EC2 API reference, eventual consistency).
_UNLISTED_SECONDS = 300
_NO_TARGETS: Mapping[str, int] = {}


@dataclass(frozen=True)
class FleetState:
    """A fleet in EC2; `state` is EC2's own word, `activity` its ActivityStatus."""

    fleet_id: str
    state: str
    activity: str
    target: int
    instances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """An event of a fleet's history, in EC2's own words (EventInformation)."""

    kind: str
    sub_type: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.sub_type} {self.detail}".strip()


def request_config(
    run: Run,
    plan: Plan,
    template: str,
    token: str,
    target: int,
    valid_until: float,
    hourly_limit: float | None = None,
) -> dict[str, Any]:
    """Return the request for a spot fleet: an override for each machine type in each zone."""
    overrides = [
        {"InstanceType": kind.name, "SubnetId": subnet.subnet_id}
        for kind in plan.types
        for subnet in plan.subnets
    ]
    config: dict[str, Any] = {
        "ClientToken": token,
        "AllocationStrategy": "priceCapacityOptimized",
        "IamFleetRole": plan.fleet_role_arn,
        "TargetCapacity": target,
        "Type": "maintain",
        "ValidUntil": utc(valid_until),
        "TerminateInstancesWithExpiration": True,
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": template, "Version": "1"},
                "Overrides": overrides,
            }
        ],
        "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": tags.of_ec2(run)}],
    }
    if run.config.MACHINE_PRICE is not None:
        config["SpotPrice"] = str(run.config.MACHINE_PRICE)
    if hourly_limit is not None:
        config["SpotMaxTotalPrice"] = str(hourly_limit)
    return config


def request(ec2: EC2Client, config: dict[str, Any]) -> str:
    """Request a fleet; the same ClientToken gives the same fleet again."""
    answer = ec2.request_spot_fleet(SpotFleetRequestConfig=config)  # type: ignore[arg-type]
    return answer["SpotFleetRequestId"]


def of_run(ec2: EC2Client, run: Run) -> list[str]:
    """Return the ids of the fleets of the run, in the order of their requests.

    If the answer to a request was lost, its fleet is found by its tags.
    """
    known = [entry.fleet_id for entry in run.fleets]
    return known if all(known) else by_tags(ec2, run)


def by_tags(ec2: EC2Client, run: Run) -> list[str]:
    """Return the ids of all fleets of the run that have not ended, in run.json or not."""
    ids = [entry.fleet_id for entry in run.fleets if entry.fleet_id]
    ended = set()
    for page in ec2.get_paginator("describe_spot_fleet_requests").paginate():
        for found in page["SpotFleetRequestConfigs"]:
            if tags.is_of_run(run, found.get("Tags", [])):
                ids.append(found["SpotFleetRequestId"])
                if not has_machines(found["SpotFleetRequestState"]):
                    ended.add(found["SpotFleetRequestId"])
    return [fleet_id for fleet_id in dict.fromkeys(ids) if fleet_id not in ended]


def young(run: Run, now: float) -> dict[str, int]:
    """Return the targets, by id, of the run's fleets that EC2 may not list yet."""
    return {
        entry.fleet_id: entry.target
        for entry in run.fleets
        if entry.fleet_id and abs(now - seconds(entry.requested)) < _UNLISTED_SECONDS
    }


def describe(
    ec2: EC2Client, fleet_ids: Sequence[str], young: Mapping[str, int] = _NO_TARGETS
) -> list[FleetState]:
    """Return the states of these fleets, with the machines of live ones.

    EC2 forgets a cancelled fleet 48 hours after its machines ended; then it is left out. One of
    the `young` that EC2 does not list yet counts as 'submitted'.
    """
    states = []
    for fleet_id in fleet_ids:
        try:
            answer = ec2.describe_spot_fleet_requests(SpotFleetRequestIds=[fleet_id])
        except ClientError as error:
            if not aws_errors.code_of(error).startswith("InvalidSpotFleetRequestId"):
                raise
            if fleet_id in young:
                states.append(FleetState(fleet_id, "submitted", "", young[fleet_id]))
            continue
        for found in answer["SpotFleetRequestConfigs"]:
            pages = ec2.get_paginator("describe_spot_fleet_instances").paginate(
                SpotFleetRequestId=fleet_id
            )
            machines = [m["InstanceId"] for page in pages for m in page["ActiveInstances"]]
            states.append(
                FleetState(
                    fleet_id=fleet_id,
                    state=found["SpotFleetRequestState"],
                    activity=found.get("ActivityStatus", ""),
                    target=found["SpotFleetRequestConfig"]["TargetCapacity"],
                    instances=tuple(machines),
                )
            )
    return states


def history(ec2: EC2Client, fleet_id: str, since: float) -> list[Event]:
    """Return every event of a fleet since a time, oldest first (EC2 keeps them for 48 h)."""
    events = []
    token: dict[str, str] = {}
    while True:
        page = ec2.describe_spot_fleet_request_history(
            SpotFleetRequestId=fleet_id,
            StartTime=utc(since),
            **token,  # type: ignore[arg-type]
        )
        for record in page["HistoryRecords"]:
            what = record.get("EventInformation", {})
            detail = what.get("EventDescription") or what.get("InstanceId") or ""
            events.append(Event(record["EventType"], what.get("EventSubType", ""), detail))
        if not page.get("NextToken"):
            return events
        token = {"NextToken": page["NextToken"]}


def set_target(ec2: EC2Client, fleet_id: str, target: int) -> None:
    """Change how many machines a fleet keeps; that ends no surplus machine."""
    ec2.modify_spot_fleet_request(
        SpotFleetRequestId=fleet_id,
        TargetCapacity=target,
        ExcessCapacityTerminationPolicy="noTermination",
    )


def cancel(ec2: EC2Client, fleet_ids: Sequence[str], young: Mapping[str, int] = _NO_TARGETS) -> int:
    """End those of the fleets that are live, with their machines; return how many.

    Raise ExplainedError for one that EC2 does not end although it accepted the request.
    """
    known = describe(ec2, fleet_ids, young)
    live = [state.fleet_id for state in known if has_machines(state.state)]
    # CancelSpotFleetRequests takes 100 a call (API reference).
    for start in range(0, len(live), 100):
        answer = ec2.cancel_spot_fleet_requests(
            SpotFleetRequestIds=live[start : start + 100], TerminateInstances=True
        )
        for failed in answer["UnsuccessfulFleetRequests"]:
            fleet_id, error = failed["SpotFleetRequestId"], failed["Error"]
            # If somebody else has ended it in the meantime, that is an error here.
            if any(state.state in LIVE_STATES for state in describe(ec2, [fleet_id], young)):
                values = {"code": error["Code"], "message": error["Message"].rstrip(".")}
                raise aws_errors.failure("fleet not ended", fleet=fleet_id, **values)
    return len(live)


def has_machines(state: str) -> bool:
    """Return whether a fleet in this state of EC2 has machines that stay, or may get some."""
    return state in LIVE_STATES or state == "cancelled_running"


def machines(ec2: EC2Client, run: Run) -> list[str]:
    """Return the ids of the machines of the run that run or start, of any fleet."""
    wanted: Any = [
        *tags.filters(run),
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=wanted)
    return [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]


def terminate(ec2: EC2Client, instance_ids: Sequence[str]) -> None:
    """End those of the machines that still exist, many in a call."""
    for start in range(0, len(instance_ids), _TERMINATED_AT_ONCE):
        _terminate(ec2, list(instance_ids[start : start + _TERMINATED_AT_ONCE]))


def _terminate(ec2: EC2Client, some: list[str]) -> None:
    try:
        ec2.terminate_instances(InstanceIds=some)
    except ClientError as error:
        if aws_errors.code_of(error) != "InvalidInstanceID.NotFound":
            raise
        # One that EC2 has forgotten makes it refuse all (API reference of TerminateInstances); its
        # message names them. Should it not, each half is tried.
        left = [i for i in some if i not in aws_errors.message_of(error)]
        half = len(some) // 2
        for part in [left] if len(left) < len(some) else [some[:half], some[half:]]:
            if part and len(part) < len(some):
                _terminate(ec2, part)
