"""A run that nobody watches but the auto-monitor, on the AWS on this computer."""

from __future__ import annotations

import dataclasses
import json
import threading
import time

import boto3
import pytest
from botocore.exceptions import ClientError

from control.aws import lambda_function, sns
from control.aws.scheduler import GROUP, schedule_exists
from control.aws.session import AWS
from control.aws.sqs import queue_counts
from control.errors import ExplainedError
from control.monitoring import act, auto_monitor
from control.records import store
from control.user_files import fleet_file
from control.verbs import monitor, setup, setup_aws, start_cluster, submit
from tests import lambda_runtime
from tests.conftest import BUCKET, QUICK

FLEET = fleet_file.FleetFile()
ADDRESS = "ada@example.org"
LIMIT = 180  # seconds; on a quiet machine it takes some ten
READING = ("Describe", "List", "Get", "Head", "Filter")


@pytest.fixture
def watched(set_up, tmp_path):
    """Starts a run with the auto-monitor on: (clients, config, run)."""
    started = []

    def start(jobs=3, **changes):
        aws, config, _ = set_up(AUTO_MONITOR=True, DOCKER_CORES=1, CLUSTER_MACHINES=1, **changes)
        list(setup_aws.make(aws, config))
        run = store.live(aws.s3, BUCKET, config.APP_NAME)
        for number in range(jobs):
            aws.s3.put_object(Bucket=BUCKET, Key=f"pages/{number}.md", Body=b"two words")
        shared = {"input_location": "pages", "output_location": "counts"}
        groups = [{"document": f"{number}.md"} for number in range(jobs)]
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps({**shared, "groups": groups}))
        submit.submit(aws, run, submit.read_jobs(path), tmp_path)
        run = start_cluster.start(aws, config, run, FLEET, yes=True)
        started.append((aws, run))
        return aws, config, run

    yield start
    for aws, run in started:
        for _ in act.end_machines(aws, run):
            continue


@pytest.fixture
def function(embedded, tmp_path):
    """The auto-monitor's handler, as Lambda runs it."""
    with lambda_runtime.running(lambda_function.zipped(), tmp_path) as call:
        yield call


def newest(aws, run):
    return store.load(aws.s3, run.bucket, run.app_name, run.run_id)


def each_minute(aws, run, function, answers):
    """Return a `sleep` that calls the scheduled function; with no job left a minute passes."""
    end = time.monotonic() + LIMIT

    def sleep(seconds):
        assert time.monotonic() < end, answers
        threading.Event().wait(0.3)
        if schedule_exists(aws.scheduler, run.schedule):
            held = aws.scheduler.get_schedule(GroupName=GROUP, Name=run.schedule)
            minutes = lambda_runtime.minutes_to_pass(aws.sqs, run.queue_url)
            answers.append(function(json.loads(held["Target"]["Input"]), minutes))

    return sleep


def test_the_laptop_only_shows_what_the_auto_monitor_does(watched, function, capsys):
    aws, config, run = watched()
    asked, answers = [], []
    session = boto3.Session(region_name="us-east-1")
    session.events.register("before-call", lambda model, **_: asked.append(model.name))
    laptop = AWS(session)
    sleep = each_minute(aws, run, function, answers)
    counts = monitor.watch(laptop, run, QUICK, sleep=sleep)
    assert (counts.done, counts.failed) == (3, 0)
    assert {name for name in asked if not name.startswith(READING)} == set()
    out = capsys.readouterr().out
    assert "this only shows it" in out and "queue" in out
    ended = newest(aws, run)
    assert ended.ended and ended.schedule == ""
    assert not schedule_exists(aws.scheduler, run.schedule)
    assert queue_counts(aws.sqs, run.queue_url) is None
    assert answers[-1]["ended"] and not answers[-1]["unfinished"]


def test_one_mail_with_counts_and_cost_comes_at_the_end(watched, function):
    aws, config, run = watched(NOTIFY_EMAIL=ADDRESS)
    box = aws.sqs.create_queue(QueueName="Mailbox")["QueueUrl"]
    queue = "arn:aws:sqs:us-east-1:123456789012:Mailbox"
    aws.sns.subscribe(TopicArn=run.topic_arn, Protocol="sqs", Endpoint=queue)
    answers = []
    sleep = each_minute(aws, run, function, answers)
    while schedule_exists(aws.scheduler, run.schedule):
        sleep(60)
    # Once more, by a call that was under way: nothing is sent twice.
    function({"bucket": run.bucket, "app_name": run.app_name, "run_id": run.run_id})
    mails = aws.sqs.receive_message(QueueUrl=box, MaxNumberOfMessages=10)["Messages"]
    (mail,) = (json.loads(mail["Body"]) for mail in mails)
    assert mail["Subject"] == f"{config.APP_NAME} finished: 3 of 3 jobs done"
    assert "done        3\n" in mail["Message"] and "every job has ended" in mail["Message"]
    assert " hours, " in mail["Message"]
    aws.sqs.delete_queue(QueueUrl=box)
    assert sns.delete_topic(aws.sns, ADDRESS)


def test_jobs_that_vanish_end_the_machines_and_the_laptop_says_why(watched, function):
    aws, config, run = watched(MEMORY=900_000)
    aws.sqs.purge_queue(QueueUrl=run.queue_url)
    answers = []
    sleep = each_minute(aws, run, function, answers)
    with pytest.raises(ExplainedError, match="3 submitted jobs have no record"):
        monitor.watch(aws, run, QUICK, sleep=sleep)
    assert not schedule_exists(aws.scheduler, run.schedule)
    after = newest(aws, run)
    assert not after.ended and "3 submitted jobs have no record" in after.end_reason


def test_the_schedule_ends_an_hour_after_the_machines_by_itself(watched):
    aws, config, run = watched(MEMORY=900_000, MAX_RUN_HOURS=5)
    held = aws.scheduler.get_schedule(GroupName=GROUP, Name=run.schedule)
    machines_end = run.fleets[-1].valid_until
    assert held["EndDate"].timestamp() == machines_end + 3600
    assert (held["ActionAfterCompletion"], held["ScheduleExpression"]) == (
        "DELETE",
        "rate(1 minutes)",
    )
    assert held["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    assert held["Target"]["Arn"].endswith(":function:DistributedSomethingMonitor")
    assert held["Target"]["RoleArn"].endswith(":role/DistributedSomethingSchedulerRole")


def test_stop_ends_the_auto_monitor_too(watched):
    aws, config, run = watched(MEMORY=900_000)
    assert auto_monitor.end(aws, run)
    assert not schedule_exists(aws.scheduler, run.schedule)
    assert newest(aws, run).schedule == ""
    assert not auto_monitor.end(aws, newest(aws, run))


def test_switched_off_in_mid_run_the_schedule_goes(watched):
    aws, config, run = watched(MEMORY=900_000)
    off = dataclasses.replace(config, AUTO_MONITOR=False)
    again = start_cluster.start(aws, off, setup.setup(aws, off), FLEET, yes=True)
    assert again.schedule == "" and not schedule_exists(aws.scheduler, run.schedule)


def test_started_again_there_is_still_one_schedule(watched):
    aws, config, run = watched(MEMORY=900_000)
    again = start_cluster.start(aws, config, newest(aws, run), FLEET, yes=True)
    assert again.schedule == run.schedule
    held = aws.scheduler.list_schedules(GroupName=GROUP, NamePrefix=run.app_name)
    assert len(held["Schedules"]) == 1


def test_without_the_function_no_machine_is_requested(watched, set_up, tmp_path):
    aws, config, run = watched(MEMORY=900_000)
    aws.functions.delete_function(FunctionName=lambda_function.NAME)
    with pytest.raises(ExplainedError, match="auto-monitor does not exist") as caught:
        start_cluster.start(aws, config, run, FLEET, yes=True, add=True)
    assert "setupAWS" in caught.value.fix
    assert len(newest(aws, run).fleets) == 1


def test_a_function_of_another_version_is_reported(watched, capsys):
    aws, config, run = watched(MEMORY=900_000)
    aws.functions.update_function_code(FunctionName=lambda_function.NAME, ZipFile=b"older")
    start_cluster.start(aws, config, newest(aws, run), FLEET, yes=True)
    assert "To update it: python run.py" in capsys.readouterr().out


def test_without_records_the_function_ends_its_calls(watched, function):
    aws, config, run = watched(MEMORY=900_000)
    key = f"{run.prefix}run.json"
    kept = aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    aws.s3.delete_object(Bucket=BUCKET, Key=key)
    event = {"bucket": run.bucket, "app_name": run.app_name, "run_id": run.run_id}
    assert function(event) == {"ended": True}
    assert not schedule_exists(aws.scheduler, run.schedule)
    aws.s3.put_object(Bucket=BUCKET, Key=key, Body=kept)


def test_what_hinders_the_auto_monitor_is_shown_on_the_laptop(watched, monkeypatch, capsys):
    aws, config, run = watched(MEMORY=900_000)

    def denied(*_):
        message = "User: x is not authorized to perform: ecs:DescribeServices on resource: y"
        answer = {"Error": {"Code": "AccessDeniedException", "Message": message}}
        raise ClientError(answer, "DescribeServices")

    monkeypatch.setattr(auto_monitor, "step", denied)
    event = {"bucket": run.bucket, "app_name": run.app_name, "run_id": run.run_id}
    with pytest.raises(ClientError):
        auto_monitor.handler(event, None)

    class Enough(Exception):
        pass

    def sleep(seconds):
        raise Enough

    with pytest.raises(Enough):
        monitor.watch(aws, run, QUICK, sleep=sleep)
    assert "lacks the permission ecs:DescribeServices on y" in capsys.readouterr().out


def test_a_silent_auto_monitor_is_reported(watched, capsys):
    aws, config, run = watched(MEMORY=900_000)
    minutes = iter((0, 2, 7, 7))

    class Enough(Exception):
        pass

    def sleep(seconds):
        if "has reported nothing for 7 minutes" in capsys.readouterr().out:
            raise Enough

    began = time.time()
    with pytest.raises(Enough):
        monitor.watch(aws, run, QUICK, lambda: began + 60 * next(minutes), sleep)
