"""The end of a run: nothing that costs money is left, however often it is done."""

from __future__ import annotations

import json
import time

import pytest

from control.aws import cloudwatch, ecs, fleet
from control.aws.sqs import queue_counts
from control.errors import ExplainedError
from control.model import JobCounts, utc
from control.monitoring import act, step
from control.monitoring.pace import Pace
from control.records import store
from control.user_files import fleet_file
from control.verbs import monitor, start_cluster, submit

AT_ONCE = Pace(poll=0.2, settle=0.5, spare=0.3, register=60)


@pytest.fixture
def started(stuck):
    """With an alarm, as the monitor makes one: (clients, run)."""
    aws, _, run = stuck
    cloudwatch.put_alarm(aws.cloudwatch, run, "i-1", 4)
    return aws, run


def live_fleets(aws, run):
    states = fleet.describe(aws.ec2, [f.fleet_id for f in run.fleets])
    return [s for s in states if s.state in fleet.LIVE_STATES]


def test_why_containers_ended_is_reported_of_those_made_since(set_up, tmp_path):
    aws, config, run = set_up(CLUSTER_MACHINES=1)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": 1}]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    aws.logs.delete_log_group(logGroupName=run.log_group)  # without it no container starts
    run = start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
    limit = time.monotonic() + 90
    while not ecs.why_stopped(aws.ecs, run, 0.0) and time.monotonic() < limit:
        time.sleep(0.1)
    assert "log group" in ecs.why_stopped(aws.ecs, run, 0.0)[0][0]
    assert ecs.why_stopped(aws.ecs, run, time.time() + 60) == []
    list(act.end_machines(aws, run))


def test_machines_end_and_the_queue_stays(started):
    aws, run = started
    for _ in range(2):
        list(act.end_machines(aws, run))
        assert live_fleets(aws, run) == []
        assert ecs.service_state(aws.ecs, run) is None
        assert cloudwatch.alarms_of_run(aws.cloudwatch, run) == []
        assert queue_counts(aws.sqs, run.queue_url).total == 2
    assert not store.load(aws.s3, run.bucket, run.app_name, run.run_id).ended


def test_the_end_takes_everything_down_and_says_so_last(started):
    aws, run = started
    for _ in range(2):
        list(act.end_run(aws, run, now=1_800_000_000.0))
        assert live_fleets(aws, run) == []
        assert queue_counts(aws.sqs, run.queue_url) is None
        described = aws.ecs.describe_task_definition(taskDefinition=run.task_definition)
        assert described["taskDefinition"]["status"] == "INACTIVE"
    assert store.load(aws.s3, run.bucket, run.app_name, run.run_id).ended
    report = aws.s3.get_object(Bucket=run.bucket, Key=f"{run.prefix}report.json")
    found = json.loads(report["Body"].read())
    assert found["submitted"] == 2
    assert found["ended"] == utc(1_800_000_000.0)


def test_a_run_without_machines_ends_too(set_up):
    aws, _, run = set_up()
    counts = monitor.watch(aws, run, AT_ONCE)
    assert counts == JobCounts(0, 0, 0, 0)
    assert store.load(aws.s3, run.bucket, run.app_name, run.run_id).ended


def test_a_second_monitor_sees_that_the_run_has_ended(set_up):
    aws, _, run = set_up()
    monitor.watch(aws, run, AT_ONCE)
    second = step.step(aws, run, now=1_800_000_000.0, pace=AT_ONCE)
    assert second.ended and second.lines == ()


def test_what_a_monitor_remembers_outlives_it(set_up):
    aws, _, run = set_up()
    first = step.step(aws, run, now=1000.0, pace=Pace())
    assert not first.ended
    assert not step.step(aws, run, now=1100.0, pace=Pace()).ended
    assert step.step(aws, run, now=1180.0, pace=Pace()).ended


def test_missing_records_are_named_and_the_machines_ended(started):
    aws, run = started
    aws.sqs.purge_queue(QueueUrl=run.queue_url)
    with pytest.raises(ExplainedError, match=r"2 submitted jobs have no record \(1, 2") as caught:
        monitor.watch(aws, run, AT_ONCE)
    assert "retry --unfinished" in caught.value.fix
    assert live_fleets(aws, run) == []
    assert not store.load(aws.s3, run.bucket, run.app_name, run.run_id).ended


@pytest.mark.parametrize(
    "code",
    [
        "ClusterContainsServicesException",
        "ClusterContainsTasksException",
        "ClusterContainsContainerInstancesException",
        "UpdateInProgressException",
    ],
)
def test_a_cluster_that_ecs_still_takes_for_used_does_not_keep_a_run_from_its_end(started, code):
    """The counts that DescribeClusters tells and what DeleteCluster looks at need not agree."""
    aws, run = started

    def refuse(**_):
        refused = aws.ecs.exceptions.from_code(code)
        raise refused({"Error": {"Code": code, "Message": "still used"}}, "DeleteCluster")

    handler = "before-call.ecs.DeleteCluster"
    aws.ecs.meta.events.register_last(handler, refuse, unique_id="refuse")
    try:
        said = list(act.end_run(aws, run, now=1_800_000_000.0))
    finally:
        aws.ecs.meta.events.unregister(handler, unique_id="refuse")
    (line,) = (line for line in said if f"cluster {run.cluster} kept" in line)
    assert "still stop" in line and "no charge" in line
    assert store.load(aws.s3, run.bucket, run.app_name, run.run_id).ended
