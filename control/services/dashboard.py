"""CloudWatch: the dashboard of a run; what it shows is in dashboard.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.services import tags

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

    from control.services.records import Run

_FLEET = "{each fleet}"


def body(run: Run) -> dict[str, Any]:
    """The dashboard as data: machines, queue, work done, CPU and memory, recent failures."""
    # By resources: control may lie in a zip.
    template = json.loads(
        resources.files("control.services").joinpath("dashboard.json").read_text("utf-8")
    )
    names = {
        "{region}": run.region,
        "{queue}": run.queue_url.rsplit("/", 1)[-1],
        "{dead-letter queue}": run.dead_letter_url.rsplit("/", 1)[-1],
        "{cluster}": run.cluster,
        "{service}": run.service,
        "{log group}": run.log_group,
    }
    fleets = [entry["fleet_id"] for entry in run.fleets if entry["fleet_id"]]
    filled: dict[str, Any] = _fill(template, names, fleets)
    # CloudWatch refuses a graph of nothing.
    filled["widgets"] = [w for w in filled["widgets"] if w["properties"].get("metrics") != []]
    return filled


def _fill(value: Any, names: Mapping[str, str], fleets: Sequence[str]) -> Any:
    """The template with names for their placeholders; a metric of each fleet becomes several."""
    if isinstance(value, str):
        for placeholder, name in names.items():
            value = value.replace(placeholder, name)
        return value
    if isinstance(value, dict):
        return {key: _fill(item, names, fleets) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    filled = []
    for item in value:
        if isinstance(item, list) and _FLEET in item:
            filled += [_fill(item, {**names, _FLEET: fleet}, fleets) for fleet in fleets]
        else:
            filled.append(_fill(item, names, fleets))
    return filled


def put(cloudwatch: CloudWatchClient, run: Run) -> None:
    """Make or update the dashboard, named as the app; its tags are given when it is made."""
    taken = cloudwatch.meta.service_model.operation_model("PutDashboard").input_shape
    # An older boto3 knows of no tags of dashboards, and refuses them.
    known = taken is not None and "Tags" in taken.members
    tagged: Any = {"Tags": tags.of_cloudwatch(run)} if known else {}
    content = json.dumps(body(run))
    cloudwatch.put_dashboard(DashboardName=run.app_name, DashboardBody=content, **tagged)


def exists(cloudwatch: CloudWatchClient, run: Run) -> bool:
    """Whether the dashboard is there."""
    found = cloudwatch.list_dashboards(DashboardNamePrefix=run.app_name)["DashboardEntries"]
    return any(entry["DashboardName"] == run.app_name for entry in found)


def delete(cloudwatch: CloudWatchClient, run: Run) -> None:
    """Delete the dashboard; one that is gone already is success."""
    try:
        cloudwatch.delete_dashboards(DashboardNames=[run.app_name])
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ResourceNotFound", "DashboardNotFoundError"):
            raise
