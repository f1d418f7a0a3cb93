"""CloudWatch: the alarms that end idle machines when no monitor lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from control.services import tags

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

    from control.services.records import Run

_IDLE_MINUTES = 15


def name(run: Run, instance_id: str) -> str:
    """The name of a machine's alarm; all of a run begin alike, so that they can be found."""
    return f"{run.app_name}_{run.run_id}_{instance_id}"


def put(cloudwatch: CloudWatchClient, run: Run, instance_id: str, vcpus: int) -> None:
    """Let CloudWatch itself end a machine that idles for 15 minutes: the net if no monitor lives.

    One busy process of a machine with many cores is 100 / vCPUs percent: below half of that, and
    below 1 percent, nothing works there.
    """
    cloudwatch.put_metric_alarm(
        AlarmName=name(run, instance_id),
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


def of_run(cloudwatch: CloudWatchClient, run: Run) -> list[str]:
    """The names of all alarms of the run."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=name(run, ""))
    return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]


def delete(cloudwatch: CloudWatchClient, names: Sequence[str]) -> None:
    """Delete alarms; those that are gone already are success."""
    # DeleteAlarms takes 100 a call (API reference).
    for start in range(0, len(names), 100):
        cloudwatch.delete_alarms(AlarmNames=list(names[start : start + 100]))
