"""status, as it is typed: what it says of a run in every state, and why nothing runs."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Mapping

import boto3
import pytest
from botocore.awsrequest import AWSResponse

import embedded_aws
from control.aws import session
from control.aws.session import AWS
from control.config import load_config
from control.errors import ExplainedError
from control.model import JobCounts, utc
from control.monitoring import act, observe, run_state, why_idle
from control.monitoring.pace import Pace
from control.monitoring.run_state import RunState
from control.records import resources, store
from control.records.progress import Left, Rate
from control.user_files import fleet_file
from control.verbs import monitor, setup, setup_aws, start_cluster, status, submit
from tests.conftest import BUCKET, ROOT
from tests.control import readings
from tests.control.explain import tables

FLEET = fleet_file.FleetFile()
LIMIT = 60


@pytest.fixture
def submitted(set_up, tmp_path):
    """Sets up a run with three jobs: (clients, config, run). Its machines end with the test."""
    made = []

    def start(**changes):
        aws, config, run = set_up(CLUSTER_MACHINES=1, **changes)
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps({"groups": [{"n": n} for n in range(3)]}))
        submit.submit(aws, run, submit.read_jobs(path), tmp_path)
        made.append((aws, run))
        return aws, config, run

    yield start
    for aws, run in made:
        list(act.end_machines(aws, run))


@pytest.fixture
def started(submitted):
    """Submit jobs and request a machine on which no container fits."""

    def start(**changes):
        aws, config, run = submitted(**{"MEMORY": 900_000, **changes})
        return aws, config, start_cluster.start(aws, config, run, FLEET, yes=True)

    return start


def put_records(aws, run, **states):
    """Put records of each state, of jobs that were never submitted."""
    number = 0
    for state, count in states.items():
        for _ in range(count):
            number += 1
            key = f"{run.prefix}records/{number:016x}.{state}.json"
            aws.s3.put_object(Bucket=run.bucket, Key=key, Body=b"{}")


def reason(typed, config, situation=""):
    """Return the reason of status, repeated until it is the expected one."""
    end = time.monotonic() + LIMIT
    while True:
        found = json.loads(typed(config, "status", "--json"))["reason"]
        if not situation or (found and found["situation"] == situation):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.2)


def flat(content, path=""):
    """Yield the paths of all values: 'jobs.done'."""
    if isinstance(content, Mapping) and content:
        return {p for name, value in content.items() for p in flat(value, f"{path}.{name}")}
    if isinstance(content, list):
        return {p for value in content for p in flat(value, f"{path}[]")}
    return {path.lstrip(".")}


def test_before_any_machine_was_asked_for(submitted, typed):
    _, config, _ = submitted()
    said = typed(config, "status")
    assert "3 waiting, 0 running, 0 done, 0 skipped, 0 failed of 3 jobs" in said
    assert "No machines have been requested." in said
    assert said.splitlines()[-1].startswith("Next: python run.py") and "startCluster" in said


def test_no_job_was_submitted(set_up, typed):
    _, config, _ = set_up()
    assert reason(typed, config)["situation"] == "no jobs"


def test_memory_that_fits_on_no_machine(started, typed):
    _, config, _ = started()
    found = reason(typed, config, "memory does not fit")
    assert "MEMORY = 900000 does not fit" in found["what"] and "Lower MEMORY" in found["fix"]
    assert found["waiting_helps"] is False
    said = typed(config, "status")
    assert "1 requested, 1 running, 1 registered; 0 containers" in said
    assert "MEMORY = 900000" in said and "an hour now" in said


def test_a_price_below_the_market(started, typed):
    _, config, _ = started(MACHINE_PRICE=0.0001)
    assert "MACHINE_PRICE" in reason(typed, config, "price above limit")["fix"]


@pytest.mark.parametrize(
    ("sub_type", "detail", "situation", "fix"),
    [
        (
            "launchSpecTemporarilyBlacklisted",
            "m5.xlarge: Error Code: InsufficientInstanceCapacity",
            "no capacity",
            "more types into MACHINE_TYPE",
        ),
        (
            "spotInstanceCountLimitExceeded",
            "Max spot instance count exceeded",
            "quota used up",
            "Service Quotas",
        ),
        ("iamFleetRoleInvalid", "", "fleet role invalid", "setupAWS"),
        ("expired", "", "request expired", "startCluster"),
        ("cancelled_terminating", "", "request cancelled", "startCluster"),
    ],
)
def test_what_ec2_says_in_the_history(started, typed, sub_type, detail, situation, fix):
    """moto cannot run out of capacity: here EC2's answer is given."""
    aws, config, run = started(MACHINE_PRICE=0.0001)
    event = {"EventInformation": {"EventSubType": sub_type, "EventDescription": detail}}
    answer = {"HistoryRecords": [{"EventType": "information", **event}]}
    if situation.startswith("request"):
        aws.ec2.cancel_spot_fleet_requests(
            SpotFleetRequestIds=[run.fleets[0].fleet_id], TerminateInstances=True
        )

    def told(**_):
        return AWSResponse("", 200, {}, None), answer

    event = "before-call.ec2.DescribeSpotFleetRequestHistory"
    aws.ec2.meta.events.register(event, told)
    try:
        assert fix in reason(typed, config, situation)["fix"]
    finally:
        aws.ec2.meta.events.unregister(event, told)


def test_a_machine_whose_agent_does_not_find_its_cluster(submitted, typed):
    aws, config, run = submitted()
    lost = dataclasses.replace(run, cluster="nowhere")
    lost = start_cluster.start(aws, config, lost, FLEET, yes=True)
    aws.ecs.update_service(cluster=config.ECS_CLUSTER, service=run.service, desiredCount=1)
    run = dataclasses.replace(lost, cluster=config.ECS_CLUSTER)
    end = time.monotonic() + LIMIT
    while not (seen := observe.observe(aws, run, time.time())).machines:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert why_idle.look(aws, run, seen).situation == "starting"
    found = why_idle.look(aws, run, seen, patience=0)
    assert found.situation == "agent not registered" and "ASSIGN_IP" in found.fix


def test_an_image_that_cannot_be_loaded(tmp_path, write_config, monkeypatch, typed):
    """On an AWS of its own, which has no worker."""
    (tmp_path / "worker").mkdir()
    state = tmp_path / "state"
    with embedded_aws.running(worker_folder=tmp_path / "worker", state_folder=state) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        config = load_config(write_config(CLUSTER_MACHINES=1))
        aws = AWS(boto3.Session(region_name="us-east-1"))
        monkeypatch.setattr(session, "connect", lambda config: aws)
        aws.s3.create_bucket(Bucket=BUCKET)
        setup_aws.make_roles(aws, config)
        run = setup.setup(aws, config)
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps({"groups": [{"n": 1}]}))
        submit.submit(aws, run, submit.read_jobs(path), tmp_path)
        start_cluster.start(aws, config, run, FLEET, yes=True)
        found = reason(typed, config, "image not loaded")
    assert "somebody/image:1 cannot be loaded" in found["what"] and found["next"].endswith("check")


def test_everything_is_done_and_dead_letters_only(submitted, typed):
    aws, config, run = submitted()
    aws.sqs.purge_queue(QueueUrl=run.queue_url)
    found = reason(typed, config)
    assert found["situation"] == "jobs lost" and found["fix"].endswith("retry --unfinished")
    assert "3 jobs would be sent" in typed(config, "retry", "--unfinished", "--dry-run")
    put_records(aws, run, done=2, skipped=1)
    assert reason(typed, config)["situation"] == "everything done"
    assert "monitor" in typed(config, "status").splitlines()[-1]
    key = f"{run.prefix}records/{1:016x}"
    aws.s3.delete_object(Bucket=run.bucket, Key=f"{key}.done.json")
    aws.s3.put_object(Bucket=run.bucket, Key=f"{key}.exit_code.failed.json", Body=b"{}")
    found = reason(typed, config)
    assert found["situation"] == "dead letters only"
    assert found["fix"].split()[-1] == "monitor" and " retry. Or end " in found["fix"]


def test_a_queue_and_a_service_that_are_gone(started, typed):
    aws, config, run = started()
    reason(typed, config, "memory does not fit")
    aws.ecs.delete_service(cluster=run.cluster, service=run.service, force=True)
    assert reason(typed, config, "service gone")["fix"].endswith("startCluster")
    aws.sqs.delete_queue(QueueUrl=run.queue_url)
    found = reason(typed, config, "queue gone")
    assert found["fix"].endswith(f"python run.py --config {config.path.parent} retry")
    # The command of the fix does fix it.
    assert "3 jobs sent" in typed(config, "retry")
    assert "3 waiting" in typed(config, "status")


def test_an_ended_run(submitted, typed):
    aws, config, run = submitted()
    put_records(aws, run, done=3)
    ended = {"ended": utc(time.time())}
    store.change(aws.s3, run, lambda now: dataclasses.replace(now, **ended))
    said = typed(config, "status")
    assert "3 done, 0 skipped, 0 failed of 3 jobs" in said
    assert re.search(r"ended 20\d\d-\d\d-\d\d \d\d:\d\d UTC, by", said) and "so far" not in said
    told = json.loads(typed(config, "status", "--json"))
    assert (told["state"], told["reason"]) == ("ended", None)
    assert "3 done" in typed(config, "status", "--watch")


def test_rate_time_left_and_cost_of_a_run_at_work(submitted, typed, monkeypatch):
    """A machine at work, and records of the last minutes: of jobs that were not submitted here."""
    aws, config, run = submitted()
    key = f"{run.prefix}submitted/0009-000001-new997-again0.jsonl.gz"
    aws.s3.put_object(Bucket=run.bucket, Key=key, Body=b"")
    put_records(aws, run, done=100)
    start_cluster.start(aws, config, run, FLEET, yes=True)
    end = time.monotonic() + LIMIT
    while (told := json.loads(typed(config, "status", "--json")))["state"] != "running":
        assert time.monotonic() < end, told
        time.sleep(0.2)
    rate, left, cost = told["rate"], told["left"], told["cost"]
    assert rate["low"] <= rate["jobs_per_hour"] <= rate["high"] and rate["minutes"] >= 1
    assert left["low"] <= left["seconds"] <= (left["high"] or left["seconds"])
    assert told["jobs"]["unfinished"] >= 897 and cost["dollars_per_hour"] > 0
    assert cost["expected_low"] is None or cost["expected_low"] <= cost["expected_high"]
    said = typed(config, "status")
    assert "jobs an hour" in said and "Left" in said and "an hour now" in said


def test_all_runs_of_the_account(started, typed):
    aws, config, run = started()
    reason(typed, config, "memory does not fit")
    said = json.loads(typed(config, "status", "--all", "--json"))
    (mine,) = (one for one in said["runs"] if one["app_name"] == config.APP_NAME)
    assert mine["owner"] == run.owner and mine["run_id"] == run.run_id
    assert mine["machines"] == {"requested": 1, "running": 1} and mine["state"] == "active"
    assert mine["dollars_per_hour"] > 0
    shown = typed(config, "status", "--all")
    assert f"{config.APP_NAME} {run.run_id}" in shown and "an hour." in shown
    list(act.end_machines(aws, run))
    left = [one.app_name for one in resources.runs_of_account(aws.ec2, time.time())]
    assert config.APP_NAME not in left


def test_watching_in_a_pipe_says_a_line_for_each_look(submitted, capsys):
    aws, _, run = submitted()

    class Enough(Exception):
        pass

    looks = iter(range(2))

    def sleep(_):
        if next(looks, None) is None:
            raise Enough

    with pytest.raises(Enough):
        status.watch(aws, run, sleep=sleep)
    lines = [line for line in capsys.readouterr().out.splitlines() if "3 waiting" in line]
    assert len(lines) == 3 and all(line.isprintable() for line in lines)


def test_the_monitor_says_why_nothing_runs_and_ends_what_can_never_run(started, capsys):
    aws, _, run = started()
    capsys.readouterr()
    pace = Pace(poll=0.2, settle=5, spare=1, register=3)
    with pytest.raises(ExplainedError, match="does not fit on any machine") as caught:
        monitor.watch(aws, run, pace)
    assert "the queue stays" in caught.value.what
    kept = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    assert "does not fit on any machine" in kept.end_reason
    assert capsys.readouterr().out.count("Lower MEMORY") == 1
    assert observe.observe(aws, run, time.time()).machines == ()


def state_of(jobs, why=None, ended=False):
    seen = None if ended else dataclasses.replace(readings.BUSY, jobs=jobs)
    return RunState(None, 0.0, jobs, seen, None, None, None, why)


@pytest.mark.parametrize("table", tables.IDLE)
def test_the_next_command_is_that_of_the_reason(table):
    """A line that contradicts the one above it leaves the reader alone."""
    for reason in tables.IDLE[table].values():
        why = tables.filled(reason)
        assert status.next_step(state_of(JobCounts(3, 0, 0, 0), why)) == why.next
        assert status.next_step(state_of(JobCounts(3, 2, 0, 1), why)) == why.next


@pytest.mark.parametrize(
    ("situation", "command"),
    [
        ("no jobs", "submitJob JOBFILE"),
        ("everything done", "monitor"),
        ("dead letters only", "failures"),
        ("queue gone", "retry"),
        ("not requested", "startCluster"),
        ("request expired", "startCluster"),
        ("no capacity", "status --watch"),
        ("agent not registered", "check"),
        ("no instance profile", "setupAWS"),
        ("memory does not fit", "stop"),
        ("image refused", "setupAWS"),
        ("container killed", "setup"),
        ("missing_program", ""),
    ],
)
def test_the_next_command_does_what_the_fix_says_first(situation, command):
    """Also where the fix begins with something else than setup or stop."""
    (reason,) = {one[situation] for one in tables.IDLE.values() if situation in one}
    expected = f"python run.py {command}" if command else "make -C worker push"
    assert status.next_step(state_of(JobCounts(3, 0, 0, 0), tables.filled(reason))) == expected


@pytest.mark.parametrize(
    ("jobs", "ended", "next_words"),
    [
        (JobCounts(3, 2, 0, 1), True, "failures   (shows why; then retry "),
        (JobCounts(3, 2, 0, 0), True, "retry   (sends the jobs again that have no record)"),
        (JobCounts(3, 3, 0, 0), True, "report "),
        (JobCounts(3, 1, 0, 1), False, "failures   (shows why; then retry "),
        (JobCounts(3, 1, 0, 0), False, "monitor, or python run.py status --watch"),
    ],
)
def test_where_there_is_nothing_to_fix_what_failed_is_next(jobs, ended, next_words):
    found = status.next_step(state_of(jobs, ended=ended))
    assert found.startswith(f"python run.py {next_words}")


@pytest.mark.parametrize("words", [("status",), ("status", "--all")])
def test_the_json_is_what_its_page_describes(started, typed, words):
    _, config, _ = started()
    reason(typed, config, "memory does not fit")
    page = (ROOT / "documentation/json.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {' '.join(words)}\n")[1].split("\n## ")[0]
    described = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    said = json.loads(typed(config, *words, "--json"))
    held = {path.removesuffix(".") for path in flat(said)} - {"rate", "left"}
    # Of a run that is at work there is also the next; of a list the name of the whole.
    if "--all" not in words:
        rate, left = Rate(60.0, 50.0, 70.0, 10), Left(60.0, 50.0, 70.0)
        held |= flat({"rate": run_state._rate(rate), "left": run_state._left(left)})
    assert held == described - {"rate", "left", "reason", "runs"}
