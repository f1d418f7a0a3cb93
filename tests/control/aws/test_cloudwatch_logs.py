"""What is found in the log group of a run."""

from __future__ import annotations

import time

from control.aws import cloudwatch_logs


def test_why_no_job_is_taken_is_heard_from_workers_only_the_newest_last(set_up):
    aws, _, run = set_up()
    now = time.time()

    def write(stream, *lines):
        aws.logs.create_log_stream(logGroupName=run.log_group, logStreamName=stream)
        events = [{"timestamp": int((now + n) * 1000), "message": line} for n, line in lines]
        aws.logs.put_log_events(logGroupName=run.log_group, logStreamName=stream, logEvents=events)

    write(f"{run.app_name}/worker/1", (-90, "worker 0: takes no job: long ago\n"))
    write(
        f"{run.app_name}/worker/2",
        (-40, "worker 3: takes no job: the disk is full: 1 GB"),
        (-10, "worker 11: takes no job: no message to be had: denied\n"),
    )
    write(
        f"{run.app_name}/worker/3",
        (-20, "worker 0: takes no job: in between\n"),
        (-5, "[job] worker 0: takes no job: it only says so\n"),
        (-4, "container: worker 0 takes no job\n"),
    )
    assert cloudwatch_logs.refusals(aws.logs, run.log_group, run.app_name, now - 60) == (
        "the disk is full: 1 GB",
        "in between",
        "no message to be had: denied",
    )


def test_without_a_log_group_nothing_is_heard(embedded):
    assert cloudwatch_logs.refusals(embedded.logs, "none", "App", 0.0) == ()
