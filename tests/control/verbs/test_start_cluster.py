"""startCluster on the AWS on this computer: requested once, whatever breaks in between."""

from __future__ import annotations

import dataclasses
import io
import json
import time

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from control.aws import fleet, launch_template
from control.errors import ExplainedError, UserError
from control.monitoring import act
from control.records import fleet_requests, monitor_file, store, submissions
from control.user_files import fleet_file
from control.verbs import start_cluster, submit
from tests.conftest import config_of
from tests.injection import untold_fleets

FLEET = fleet_file.FleetFile()


@pytest.mark.parametrize(
    ("machines", "tasks", "cores", "jobs", "wanted"),
    [
        (3, 1, 4, 1000, 3),
        (3, 1, 4, 12, 3),
        (3, 1, 4, 8, 2),
        (3, 1, 4, 9, 3),
        (3, 2, 4, 1, 1),
        (100, 2, 8, 17, 2),
    ],
)
def test_never_more_machines_than_the_jobs_can_fill(machines, tasks, cores, jobs, wanted):
    config = config_of(CLUSTER_MACHINES=machines, TASKS_PER_MACHINE=tasks, DOCKER_CORES=cores)
    assert start_cluster.wanted_machines(config, jobs) == wanted


@pytest.fixture
def submitted(set_up, tmp_path):
    """A run with jobs that no worker can reach: (clients, config, run)."""

    def start(jobs=10, **changes):
        # The image's containers would take the jobs: they fit on no machine.
        aws, config, run = set_up(MEMORY=900_000, **changes)
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps({"groups": [{"n": n} for n in range(jobs)]}))
        submit.submit(aws, run, submit.read_jobs(path), tmp_path)
        return aws, config, run

    yield start


@pytest.fixture
def ended():
    """Ends the machines of the runs it is given, after the test."""
    runs = []
    yield lambda aws, run: runs.append((aws, run))
    for aws, run in runs:
        newest = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
        for _ in act.end_machines(aws, newest):
            continue


def fleets_in_account(aws, run):
    """Return all live fleets of this run, by their tags, whatever run.json lists."""
    found = aws.ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
    return [
        f["SpotFleetRequestId"]
        for f in found
        if f["SpotFleetRequestState"] in fleet.LIVE_STATES
        and {"Key": "distributed-something", "Value": run.app_name} in f.get("Tags", [])
    ]


def test_the_price_is_shown_and_the_fleet_requested(submitted, ended, capsys):
    aws, config, run = submitted(CLUSTER_MACHINES=2)
    ended(aws, run)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    out = capsys.readouterr().out
    assert "2 machines (m5.xlarge): $" in out and "at most $" in out
    assert [f.fleet_id for f in run.fleets] == fleets_in_account(aws, run)
    (state,) = fleet.describe(aws.ec2, fleets_in_account(aws, run))
    assert state.target == 2
    path = monitor_file.write(config, run)
    assert json.loads(path.read_text())["MONITOR_RUN_ID"] == run.run_id


def test_without_a_terminal_and_yes_nothing_is_requested(submitted, monkeypatch):
    aws, config, run = submitted()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UserError) as caught:
        start_cluster.start(aws, config, run, FLEET, yes=False)
    assert "--yes" in caught.value.fix
    assert fleets_in_account(aws, run) == []


@pytest.mark.parametrize(("answer", "requested"), [("n", 0), ("", 0), ("y", 1), ("Yes", 1)])
def test_on_a_terminal_it_asks(submitted, ended, monkeypatch, answer, requested):
    aws, config, run = submitted()
    ended(aws, run)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if requested:
        start_cluster.start(aws, config, run, FLEET, yes=False)
    else:
        with pytest.raises(start_cluster.Declined):
            start_cluster.start(aws, config, run, FLEET, yes=False)
    assert len(fleets_in_account(aws, run)) == requested


def test_without_jobs_no_machine_is_requested(set_up):
    aws, config, run = set_up()
    with pytest.raises(ExplainedError) as caught:
        start_cluster.start(aws, config, run, FLEET, yes=True)
    assert "submitJob" in caught.value.fix
    assert fleets_in_account(aws, run) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"widgets": [\n}', "dashboard.json, line 2: "),
        ("{}", "dashboard.json is not a dashboard"),
        ("[]", "dashboard.json is not a dashboard"),
        ('{"widgets": [{"type": "text"}]}', "dashboard.json is not a dashboard"),
    ],
)
def test_a_dashboard_that_cannot_be_used_is_found_before_the_request(submitted, content, what):
    aws, config, run = submitted()
    (config.project / "files").mkdir(exist_ok=True)
    (config.project / "files/dashboard.json").write_text(content)
    with pytest.raises(UserError, match=what):
        start_cluster.start(aws, config, run, FLEET, yes=True)
    assert fleets_in_account(aws, run) == []


def test_jobs_sent_again_get_machines_though_they_have_records(submitted, ended):
    aws, config, run = submitted(jobs=1)
    ended(aws, run)
    (entry,) = submissions.entries(aws.s3, run)
    sent = entry["id"]
    aws.s3.put_object(Bucket=run.bucket, Key=f"{run.prefix}records/{sent}.done.json", Body=b"{}")
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    assert len(fleets_in_account(aws, run)) == 1


def test_two_requests_at_the_same_time_are_both_known(submitted, ended):
    aws, config, run = submitted()
    ended(aws, run)
    plan = launch_template.plan(aws, config, FLEET)
    for _ in range(2):  # both from the run as it was before either
        newest = fleet_requests.request(aws, run, plan, 1, time.time(), None)
    known = [entry.fleet_id for entry in newest.fleets]
    assert sorted(known) == sorted(fleets_in_account(aws, run))
    assert len(set(known)) == 2


def test_again_means_resize_and_add_means_more(submitted, ended):
    aws, config, run = submitted(CLUSTER_MACHINES=1)
    ended(aws, run)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    run = store.change(aws.s3, run, lambda r: with_settings(r, CLUSTER_MACHINES=3))
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    (state,) = fleet.describe(aws.ec2, fleets_in_account(aws, run))
    assert state.target == 3
    run = start_cluster.start(aws, config, run, FLEET, yes=True, add=True)
    states = fleet.describe(aws.ec2, fleets_in_account(aws, run))
    assert [s.target for s in states] == [3, 2]  # ten jobs, two at once on each, fill five
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    states = fleet.describe(aws.ec2, [f.fleet_id for f in run.fleets])
    assert [s.target for s in states] == [3, 0]
    assert [f.target for f in run.fleets] == [3, 0]


def test_a_fleet_that_ec2_does_not_tell_of_yet_counts(submitted, ended):
    aws, config, run = submitted(CLUSTER_MACHINES=1)
    ended(aws, run)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    with untold_fleets(aws.ec2):
        run = start_cluster.start(aws, config, run, FLEET, yes=True)
    assert [entry.fleet_id for entry in run.fleets] == fleets_in_account(aws, run)
    assert len(run.fleets) == 1


def broken_before_the_request(aws, config, run, monkeypatch, **how):
    """Run startCluster until the request is recorded; return the run as S3 has it."""

    def broken(*_):
        raise RuntimeError("the power is cut")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(launch_template, "ensure", broken)
        start_cluster.start(aws, config, run, FLEET, yes=True, **how)
    return store.load(aws.s3, run.bucket, run.app_name, run.run_id)


def test_adding_that_was_broken_off_adds_once_when_typed_again(
    submitted, ended, monkeypatch, capsys
):
    aws, config, run = submitted(jobs=6, CLUSTER_MACHINES=2)  # they fill three machines
    ended(aws, run)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    run = broken_before_the_request(aws, config, run, monkeypatch, add=True)
    run = start_cluster.start(aws, config, run, FLEET, yes=True, add=True)
    states = fleet.describe(aws.ec2, fleets_in_account(aws, run))
    assert sorted(s.target for s in states) == [1, 2]
    assert "what an interrupted command had begun: " in capsys.readouterr().out
    with pytest.raises(ExplainedError, match="cannot fill more than the 3 machines"):
        start_cluster.start(aws, config, run, FLEET, yes=True, add=True)


def test_a_request_that_was_never_sent_and_is_past_is_made_anew(
    submitted, ended, monkeypatch, capsys
):
    aws, config, run = submitted(CLUSTER_MACHINES=1)
    ended(aws, run)
    days_ago = time.time() - 4 * 86400  # MAX_RUN_HOURS is three days
    run = broken_before_the_request(aws, config, run, monkeypatch, clock=lambda: days_ago)
    (past,) = run.fleets
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    assert "Discarded an expired fleet request from" in capsys.readouterr().out
    (entry,) = run.fleets
    assert entry.template != past.template
    assert [entry.fleet_id] == fleets_in_account(aws, run)
    assert launch_template.of_run(aws.ec2, run) == [entry.template]


@pytest.mark.parametrize(
    ("targets", "total", "shared"),
    [
        ([3], 5, [5]),
        ([3], 1, [1]),
        ([3, 2], 8, [3, 5]),
        ([3, 2], 4, [3, 1]),
        ([3, 2], 2, [2, 0]),
        ([3, 2], 5, [3, 2]),
    ],
)
def test_a_total_is_shared_so_that_the_newest_fleet_changes_first(targets, total, shared):
    assert fleet_requests.share(targets, total) == shared


def test_no_machine_is_added_that_the_jobs_cannot_fill(submitted, ended):
    aws, config, run = submitted(jobs=2, CLUSTER_MACHINES=3)
    ended(aws, run)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    with pytest.raises(ExplainedError, match="2 unfinished jobs cannot fill more than"):
        start_cluster.start(aws, config, run, FLEET, yes=True, add=True)
    assert len(fleets_in_account(aws, run)) == 1


def test_added_machines_get_what_is_left_of_the_hourly_limit(submitted, ended):
    aws, config, run = submitted(CLUSTER_MACHINES=1, MAX_HOURLY_COST=1.0)
    ended(aws, run)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    with pytest.raises(UserError, match="MAX_HOURLY_COST = 1"):
        start_cluster.start(aws, config, run, FLEET, yes=True, add=True)
    run = store.change(aws.s3, run, lambda r: with_settings(r, MAX_HOURLY_COST=1.5))
    run = start_cluster.start(aws, config, run, FLEET, yes=True, add=True)
    limits = [f.request["SpotMaxTotalPrice"] for f in run.fleets]
    assert limits == ["1.0", "0.5"]


def test_a_fleet_that_is_being_modified_is_resized_when_that_is_done(submitted, ended):
    aws, config, run = submitted(CLUSTER_MACHINES=1)
    ended(aws, run)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    for wanted in (2, 3, 4):  # at once: each finds the one before under way
        run = store.change(
            aws.s3, run, lambda r, wanted=wanted: with_settings(r, CLUSTER_MACHINES=wanted)
        )
        run = start_cluster.start(aws, config, run, FLEET, yes=True)
    assert [s.target for s in fleet.describe(aws.ec2, fleets_in_account(aws, run))] == [4]


def test_other_machine_types_than_the_fleets_are_said(submitted, ended, capsys):
    aws, config, run = submitted()
    ended(aws, run)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    run = store.change(aws.s3, run, lambda r: with_settings(r, MACHINE_TYPE=("m6i.xlarge",)))
    start_cluster.start(aws, config, run, FLEET, yes=True)
    assert "keeps the machine types" in capsys.readouterr().out


def test_a_new_fleet_is_what_setup_has_registered(submitted, ended, capsys):
    aws, config, run = submitted(CLUSTER_MACHINES=1, EBS_VOL_SIZE=40)
    ended(aws, run)
    changed = dataclasses.replace(
        config, MACHINE_TYPE=("m6i.xlarge",), EBS_VOL_SIZE=50, CLUSTER_MACHINES=2
    )
    run = start_cluster.start(aws, changed, run, FLEET, yes=True)
    said = capsys.readouterr().out
    assert "EBS_VOL_SIZE 40 -> 50" in said and "1 machine (m5.xlarge)" in said
    (entry,) = run.fleets
    (launch,) = entry.request["LaunchTemplateConfigs"]
    assert {o["InstanceType"] for o in launch["Overrides"]} == {"m5.xlarge"}
    (disk,) = entry.template_data["BlockDeviceMappings"]
    assert disk["Ebs"]["VolumeSize"] == 40


def with_settings(run, **changes):
    return dataclasses.replace(run, config=dataclasses.replace(run.config, **changes))


def test_an_answer_that_is_lost_orphans_no_fleet(submitted, ended):
    aws, config, run = submitted()
    ended(aws, run)

    def lose(**_):
        raise EndpointConnectionError(endpoint_url="http://lost")

    # The request reaches EC2, and its answer is lost on the way back.
    aws.ec2.meta.events.register_last("after-call.ec2.RequestSpotFleet", lose)
    with pytest.raises(EndpointConnectionError):
        start_cluster.start(aws, config, run, FLEET, yes=True)
    aws.ec2.meta.events.unregister("after-call.ec2.RequestSpotFleet", lose)
    (orphan,) = fleets_in_account(aws, run)
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    assert fleets_in_account(aws, run) == [orphan]
    assert [f.fleet_id for f in run.fleets] == [orphan]


def test_stop_finds_a_fleet_whose_request_was_answered_into_the_void(submitted):
    aws, config, run = submitted()

    def lose(**_):
        raise EndpointConnectionError(endpoint_url="http://lost")

    aws.ec2.meta.events.register_last("after-call.ec2.RequestSpotFleet", lose)
    with pytest.raises(EndpointConnectionError):
        start_cluster.start(aws, config, run, FLEET, yes=True)
    assert len(fleets_in_account(aws, run)) == 1
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    list(act.end_machines(aws, run))
    assert fleets_in_account(aws, run) == []


def test_a_request_that_ec2_refuses_is_not_repeated(submitted, ended):
    aws, config, run = submitted()
    ended(aws, run)
    wrong = fleet_file.FleetFile(iam_fleet_role="not-an-arn")
    with pytest.raises(ClientError):
        start_cluster.start(aws, config, run, wrong, yes=True)
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    assert run.fleets == ()
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    assert len(fleets_in_account(aws, run)) == 1
