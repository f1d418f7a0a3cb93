"""Lines of a run's log group: why workers accept no jobs."""

from __future__ import annotations

import time

from control.aws import cloudwatch_logs


def test_only_workers_report_why_they_accept_no_jobs_and_the_newest_comes_last(set_up):
    aws, _, run = set_up()
    now = time.time()

    def write(stream, *lines):
        aws.logs.create_log_stream(logGroupName=run.log_group, logStreamName=stream)
        events = [{"timestamp": int((now + n) * 1000), "message": line} for n, line in lines]
        aws.logs.put_log_events(logGroupName=run.log_group, logStreamName=stream, logEvents=events)

    write(f"{run.app_name}/worker/1", (-90, "worker 0: accepts no jobs [disk_full]: long ago\n"))
    write(
        f"{run.app_name}/worker/2",
        (-40, "worker 3: accepts no jobs [disk_full]: the disk is full: 1 GB"),
        (-10, "worker 11: accepts no jobs [refused_by_aws]: could not receive: denied\n"),
    )
    write(
        f"{run.app_name}/worker/3",
        (-20, "worker 0: accepts no jobs [queue_gone]: in between\n"),
        (-5, "[job] worker 0: accepts no jobs [disk_full]: it only says so\n"),
        (-4, "container: worker 0 accepts no jobs\n"),
    )
    assert cloudwatch_logs.refusals(aws.logs, run.log_group, run.app_name, now - 60) == (
        ("disk_full", "the disk is full: 1 GB"),
        ("queue_gone", "in between"),
        ("refused_by_aws", "could not receive: denied"),
    )


def test_without_a_log_group_there_are_no_refusals(embedded):
    assert cloudwatch_logs.refusals(embedded.logs, "none", "App", 0.0) == ()
