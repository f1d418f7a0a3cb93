"""Every run in the account that has machines, or asks for some, found by its tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from control.runs import spending
from control.services import fleet, tags

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_UP = ("pending", "running")


@dataclass
class AccountRun:
    """A run as its fleets and machines tell it; `hourly` is None if a price is not known."""

    app_name: str
    run_id: str
    owner: str = ""
    asked: int = 0
    kinds: list[str] = field(default_factory=list)
    fleet_states: set[str] = field(default_factory=set)
    hourly: float | None = None

    @property
    def state(self) -> str:
        """EC2's words for the states of its fleets; 'no fleet' for machines without one."""
        return ", ".join(sorted(self.fleet_states)) or "no fleet"


def find(ec2: EC2Client, now: float) -> list[AccountRun]:
    """The runs in this account and region, those that cost most first."""
    runs: dict[tuple[str, str], AccountRun] = {}
    for page in ec2.get_paginator("describe_spot_fleet_requests").paginate():
        for found in page["SpotFleetRequestConfigs"]:
            if not fleet.has_machines(found["SpotFleetRequestState"]):
                continue
            run = _run_of(runs, found.get("Tags", []))
            if run is not None:
                run.fleet_states.add(found["SpotFleetRequestState"])
                if found["SpotFleetRequestState"] in fleet.LIVE_STATES:
                    run.asked += found["SpotFleetRequestConfig"]["TargetCapacity"]
    wanted: Any = [
        {"Name": "tag-key", "Values": [tags.RUN_TAG]},
        {"Name": "instance-state-name", "Values": list(_UP)},
    ]
    for machines in ec2.get_paginator("describe_instances").paginate(Filters=wanted):
        for machine in (i for r in machines["Reservations"] for i in r["Instances"]):
            run = _run_of(runs, machine.get("Tags", []))
            if run is not None:
                zone = machine["Placement"]["AvailabilityZone"]
                run.kinds.append(f"{machine['InstanceType']} {zone}")
    for run in runs.values():
        run.hourly = spending.hourly(ec2, run.kinds, now)
    return sorted(runs.values(), key=lambda r: (-(r.hourly or 0.0), r.app_name, r.run_id))


def _run_of(
    runs: dict[tuple[str, str], AccountRun], carried: Iterable[Mapping[str, Any]]
) -> AccountRun | None:
    """The run that these tags name, made if it is new; None for what is no run of ours."""
    named = {tag["Key"]: tag["Value"] for tag in carried}
    if tags.RUN_TAG not in named or tags.APP_TAG not in named:
        return None
    key = named[tags.APP_TAG], named[tags.RUN_TAG]
    run = runs.setdefault(key, AccountRun(*key))
    run.owner = run.owner or named.get(tags.OWNER_TAG, "")
    return run
