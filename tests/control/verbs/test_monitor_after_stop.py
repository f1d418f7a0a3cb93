"""monitor and the auto-monitor after the user's own stop: told as that, and mailed to nobody."""

from __future__ import annotations

import time

import pytest

from control.aws import fleet
from control.model import Run
from control.monitoring import act
from control.monitoring.pace import Pace
from control.monitoring.step import step
from control.records import store
from control.user_files import fleet_file
from control.verbs import monitor, start_cluster, stop

AT_ONCE = Pace(poll=0.2, settle=0.5, spare=0.3, register=60)
FLEET = fleet_file.FleetFile()


def newest(aws, run):
    return store.load(aws.s3, run.bucket, run.app_name, run.run_id)


def test_monitor_says_that_it_was_stopped_and_how_to_go_on(stuck):
    aws, _, run = stuck
    stop.stop(aws, run, dry_run=False, pause=0.05)
    with pytest.raises(monitor.Unfinished) as caught:
        monitor.watch(aws, run, AT_ONCE)
    assert "stop has ended the machines" in caught.value.what.lower()
    assert "2 jobs wait" in caught.value.what and "AWS has ended" not in caught.value.what
    assert "startCluster" in caught.value.fix and "retry" not in caught.value.fix


def test_a_fleet_that_ended_with_jobs_that_wait_is_cured_by_start_cluster_alone(stuck):
    aws, _, run = stuck
    fleet.cancel(aws.ec2, [run.fleets[0].fleet_id])
    with pytest.raises(monitor.Unfinished, match="AWS has ended the fleet") as caught:
        monitor.watch(aws, run, AT_ONCE)
    assert "startCluster" in caught.value.fix and "retry" not in caught.value.fix


def test_a_step_in_the_middle_of_stop_mails_nothing(stuck, monkeypatch):
    aws, _, run = stuck
    told, steps = [], []
    monkeypatch.setattr(act, "send_end_mail", lambda *words: told.append(words))
    topic = aws.sns.create_topic(Name="Topic")["TopicArn"]
    run = store.change(aws.s3, run, lambda r: Run(**{**vars(r), "topic_arn": topic}))
    end_machines = act.end_machines

    def with_a_step(aws, run, *how):
        yield from end_machines(aws, run, *how)
        if not steps:
            steps.append(1)
            steps.append(step(aws, run, time.time(), AT_ONCE))

    monkeypatch.setattr(act, "end_machines", with_a_step)
    stop.stop(aws, run, dry_run=False, pause=0.05)
    assert steps[1].ended and told == []


def test_start_cluster_forgets_the_stop(stuck):
    aws, config, run = stuck
    stop.stop(aws, run, dry_run=False, pause=0.05)
    assert newest(aws, run).stopped
    start_cluster.start(aws, config, newest(aws, run), FLEET, yes=True)
    assert not newest(aws, run).stopped
