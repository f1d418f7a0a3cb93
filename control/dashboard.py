"""CloudWatch: the dashboard of a run, as data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

    from control.records import Run


def body(run: Run) -> dict[str, Any]:
    """The dashboard as data: machines, queue, work done, CPU and memory, recent failures."""
    queue = run.queue_url.rsplit("/", 1)[-1]
    service = ["ClusterName", run.cluster, "ServiceName", run.service]
    fleets: list[list[Any]] = []
    for entry in run.fleets:
        if entry["fleet_id"]:
            where = ["FleetRequestId", entry["fleet_id"]]
            fleets.append(["AWS/EC2Spot", "TargetCapacity", *where])
            fleets.append(["AWS/EC2Spot", "FulfilledCapacity", *where])
    waiting = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", queue],
    ]
    finished = [["AWS/SQS", "NumberOfMessagesDeleted", "QueueName", queue]]
    load = [["AWS/ECS", "CPUUtilization", *service], ["AWS/ECS", "MemoryUtilization", *service]]
    query = (
        f"SOURCE '{run.log_group}' | fields @timestamp, @message | filter @message like /FAILED/ "
        "| sort @timestamp desc | limit 20"
    )
    return {
        "widgets": [
            _graph(run, 0, 0, "Machines: wanted and up", fleets, "Average"),
            _graph(run, 12, 0, "Jobs waiting and in work", waiting, "Average"),
            _graph(run, 0, 6, "Messages finished in each period", finished, "Sum"),
            _graph(run, 12, 6, "CPU and memory of the containers (%)", load, "Maximum"),
            {
                "type": "log",
                "x": 0,
                "y": 12,
                "width": 24,
                "height": 6,
                "properties": {
                    "region": run.region,
                    "title": "Recent failures",
                    "query": query,
                    "view": "table",
                },
            },
        ]
    }


def _graph(run: Run, x: int, y: int, title: str, metrics: Any, statistic: str) -> dict[str, Any]:
    return {
        "type": "metric",
        "x": x,
        "y": y,
        "width": 12,
        "height": 6,
        "properties": {
            "view": "timeSeries",
            "title": title,
            "region": run.region,
            "stat": statistic,
            "period": 300,
            "metrics": metrics,
        },
    }


def put(cloudwatch: CloudWatchClient, run: Run) -> None:
    """Make or update the dashboard, named as the app."""
    cloudwatch.put_dashboard(DashboardName=run.app_name, DashboardBody=json.dumps(body(run)))


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
