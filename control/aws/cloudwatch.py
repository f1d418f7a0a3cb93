"""CloudWatch: alarms and the dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.aws import tags
from control.explain import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

    from control.model import Run

_IDLE_MINUTES = 15


def alarm_name(run: Run, instance_id: str) -> str:
    """Return the name of a machine's alarm; all of a run have the same prefix, to be found by."""
    return f"{run.app_name}_{run.run_id}_{instance_id}"


def put_alarm(cloudwatch: CloudWatchClient, run: Run, instance_id: str, vcpus: int) -> None:
    """Let CloudWatch itself end a machine that idles for 15 minutes, if no monitor does.

    One busy process of a machine with many cores is 100 / vCPUs percent: below half of that, and
    below 1 percent, nothing works there.
    """
    cloudwatch.put_metric_alarm(
        AlarmName=alarm_name(run, instance_id),
        AlarmDescription=f"Ends {instance_id} of {run.app_name} when it idles.",
        AlarmActions=[f"arn:aws:automate:{run.region}:ec2:terminate"],
        Namespace="AWS/EC2",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=_IDLE_MINUTES,
        Threshold=min(1.0, 50 / vcpus),
        ComparisonOperator="LessThanThreshold",
        Tags=tags.of_cloudwatch(run),
    )


def alarms_of_run(cloudwatch: CloudWatchClient, run: Run) -> list[str]:
    """Return the names of all alarms of the run."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=alarm_name(run, "")
    )
    return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]


def delete_alarms(cloudwatch: CloudWatchClient, names: Sequence[str]) -> None:
    """Delete those of the alarms that exist."""
    # DeleteAlarms takes 100 a call (API reference).
    for start in range(0, len(names), 100):
        cloudwatch.delete_alarms(AlarmNames=list(names[start : start + 100]))


_FLEET = "{each fleet}"


def dashboard_body(run: Run, template: Any) -> dict[str, Any]:
    """Return the dashboard of a run: the template with the names of the run's resources."""
    names = {
        "{region}": run.region,
        "{queue}": run.queue_url.rsplit("/", 1)[-1],
        "{dead-letter queue}": run.dead_letter_url.rsplit("/", 1)[-1],
        "{cluster}": run.cluster,
        "{service}": run.service,
        "{log group}": run.log_group,
    }
    fleets = [entry.fleet_id for entry in run.fleets if entry.fleet_id]
    filled: dict[str, Any] = _fill(template, names, fleets)
    # CloudWatch refuses a graph of nothing.
    filled["widgets"] = [w for w in filled["widgets"] if w["properties"].get("metrics") != []]
    return filled


def _fill(value: Any, names: Mapping[str, str], fleets: Sequence[str]) -> Any:
    """Replace placeholders by names; a metric of each fleet becomes several."""
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


def put_dashboard(cloudwatch: CloudWatchClient, run: Run, template: Any) -> None:
    """Make or update the dashboard, which has the app's name. Only a new one gets tags."""
    taken = cloudwatch.meta.service_model.operation_model("PutDashboard").input_shape
    # An older boto3 refuses tags of dashboards.
    known = taken is not None and "Tags" in taken.members
    tagged: Any = {"Tags": tags.of_cloudwatch(run)} if known else {}
    content = json.dumps(dashboard_body(run, template))
    cloudwatch.put_dashboard(DashboardName=run.app_name, DashboardBody=content, **tagged)


def dashboard_exists(cloudwatch: CloudWatchClient, run: Run) -> bool:
    """Return whether the dashboard exists."""
    found = cloudwatch.list_dashboards(DashboardNamePrefix=run.app_name)["DashboardEntries"]
    return any(entry["DashboardName"] == run.app_name for entry in found)


def delete_dashboard(cloudwatch: CloudWatchClient, run: Run) -> None:
    """Delete the dashboard if it exists."""
    try:
        cloudwatch.delete_dashboards(DashboardNames=[run.app_name])
    except ClientError as error:
        if aws_errors.code_of(error) not in ("ResourceNotFound", "DashboardNotFoundError"):
            raise
