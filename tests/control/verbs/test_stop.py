"""stop: whatever state a run is in, nothing of it costs money after it."""

from __future__ import annotations

import dataclasses

import pytest

from control.aws import cloudwatch, ecs, fleet
from control.errors import ExplainedError
from control.model import Run, seconds
from control.records import resources, store
from control.user_files import fleet_file
from control.verbs import setup, start_cluster, stop
from tests.injection import untold_fleets


@pytest.fixture
def started(stuck):
    """With an alarm, as the monitor makes one: (clients, config, run)."""
    aws, config, run = stuck
    cloudwatch.put_alarm(aws.cloudwatch, run, "i-1", 4)
    yield aws, config, run
    stop.stop(aws, run, dry_run=False, pause=0.05)
    cloudwatch.delete_dashboard(aws.cloudwatch, run)


def costly(aws, run):
    return {thing.kind for thing in resources.of_run(aws, run) if thing.costs}


def test_it_lists_ends_and_proves(started, typed):
    aws, config, run = started
    assert costly(aws, run) >= {"fleet", "service", "alarm", "dashboard"}
    said = typed(config, "stop")
    will, left = said.split("Kept (no charge):")
    assert f"fleet            {run.fleets[0].fleet_id}" in will.split("ended")[1]
    assert f"{config.APP_NAME}Queue" in left and config.LOG_GROUP_NAME in left
    assert "2 jobs unfinished" in left and "startCluster" in left
    assert costly(aws, run) == set()
    assert not store.load(aws.s3, run.bucket, run.app_name, run.run_id).ended
    again = typed(config, "stop")
    assert "Nothing of it costs money" in again
    assert not any(word in again for word in ("ended", "removed", "Will be"))


def test_after_a_dry_run_stop_is_next(started, typed):
    said = typed(started[1], "stop", "--dry-run").splitlines()
    assert said[-1].startswith("Next: ") and said[-1].endswith(" stop")


def test_records_of_jobs_that_another_program_sent_are_no_jobs_less(set_up, capsys):
    aws, _, run = set_up()
    key = f"{run.prefix}records/{'0' * 16}.done.json"
    aws.s3.put_object(Bucket=run.bucket, Key=key, Body=b"{}")
    stop.say_unfinished(aws, run)
    assert capsys.readouterr().out.endswith(
        "No job is unfinished: 1 job done, 0 skipped, 0 failed.\n"
    )


def test_a_fleet_that_ec2_does_not_tell_of_yet_is_ended_all_the_same(started):
    aws, _, run = started
    (fleet_id,) = [entry.fleet_id for entry in run.fleets]
    requested = seconds(run.fleets[0].requested)
    with untold_fleets(aws.ec2):
        assert "fleet" in costly(aws, run)
        # Of one that was requested long ago it tells no more: that has ended.
        later = resources.of_run(aws, run, lambda: requested + 301)
        assert fleet_id not in [thing.name for thing in later]
        with pytest.raises(ExplainedError, match=f"fleet {fleet_id}"):
            stop.stop(aws, run, dry_run=False, wait=lambda _: None)
    assert fleet.describe(aws.ec2, [fleet_id])[0].state not in fleet.LIVE_STATES


def test_what_machines_cost_that_nobody_looked_at_before_is_not_forgotten(started, typed):
    aws, config, run = started
    while not fleet.describe(aws.ec2, [run.fleets[0].fleet_id])[0].instances:
        continue
    assert not run.machine_time
    typed(config, "stop")
    kept = store.load(aws.s3, run.bucket, run.app_name, run.run_id).machine_time
    (seconds,) = kept["seconds"].values()
    assert seconds > 0
    typed(config, "stop")
    again = store.load(aws.s3, run.bucket, run.app_name, run.run_id).machine_time
    assert again["seconds"] == kept["seconds"]


def test_a_dry_run_shows_the_same_and_ends_nothing(started, typed):
    aws, config, run = started
    before = costly(aws, run)
    said = typed(config, "stop", "--dry-run")
    assert "Would be ended:" in said and run.fleets[0].fleet_id in said
    assert "Would be kept" in said and f"{config.APP_NAME}Queue" in said
    assert costly(aws, run) >= before


@pytest.mark.parametrize("cleans", [True, False])
def test_a_dry_run_lists_exactly_what_stop_takes_away(started, typed, cleans):
    aws, config, run = started
    changed = dataclasses.replace(run.config, CLEAN_DASHBOARD=cleans)
    run = store.change(aws.s3, run, lambda r: dataclasses.replace(r, config=changed))
    aws.ec2.get_waiter("instance_running").wait(
        Filters=[{"Name": "tag:distributed-something", "Values": [run.app_name]}],
        WaiterConfig={"Delay": 1, "MaxAttempts": 30},
    )
    before = {str(thing) for thing in resources.of_run(aws, run)}
    said = typed(config, "stop", "--dry-run")
    would, stay = said.split("Would be kept (no charge):")
    typed(config, "stop")
    after = {str(thing) for thing in resources.of_run(aws, run)}
    assert listed(would) == before - after and listed(stay) == after
    assert any(thing.startswith("launch template ") for thing in before - after)
    shown = f"dashboard {run.app_name}"
    assert (shown in after) != cleans and shown in before


def listed(said):
    """Return the resources that stop prints: two blanks, their kind, their names."""
    lines = [line for line in said.splitlines() if line.startswith("  ")]
    return {f"{line[2:19].strip()} {name}" for line in lines for name in line[19:].split(", ")}


def test_it_goes_on_after_a_stop(started, typed):
    aws, config, run = started
    typed(config, "stop")
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
    assert costly(aws, run) >= {"fleet", "service"}


def test_machines_that_have_outlived_their_fleet_are_ended(started, typed):
    aws, config, run = started
    fleet_id = run.fleets[0].fleet_id
    aws.ec2.get_waiter("instance_running").wait(
        Filters=[{"Name": "tag:distributed-something", "Values": [run.app_name]}],
        WaiterConfig={"Delay": 1, "MaxAttempts": 30},
    )
    aws.ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[fleet_id], TerminateInstances=False)
    assert "machine" in costly(aws, run)
    typed(config, "stop")
    assert fleet.machines(aws.ec2, run) == []


def test_a_setup_that_was_broken_off_can_be_stopped(embedded, project, typed, monkeypatch):
    config = project()

    def broken(*_):
        raise RuntimeError("the power is cut")

    monkeypatch.setattr(ecs, "register_task_definition", broken)
    with pytest.raises(RuntimeError):
        setup.setup(embedded, config)
    said = typed(config, "stop")
    assert "Nothing of it costs money" in said and config.ECS_CLUSTER in said


def test_a_run_that_has_ended_says_so(set_up, typed):
    aws, config, run = set_up()
    store.change(aws.s3, run, lambda r: Run(**{**vars(r), "ended": "x"}))
    # What was left over all the same is ended.
    assert "Will be ended" in typed(config, "stop")
    assert "has ended, and its machines with it" in typed(config, "stop")


def test_what_was_never_set_up_is_said(embedded, project, typed):
    with pytest.raises(ExplainedError, match="has not been set up"):
        typed(project(), "stop")


def test_what_stays_although_it_was_ended_is_an_error(started, monkeypatch):
    aws, _, run = started
    stubborn = [resources.Resource("machine", "i-1", costs=True)]
    monkeypatch.setattr(resources, "of_run", lambda *_: stubborn)
    waits = []
    with pytest.raises(ExplainedError, match="Still there, and it costs money: machine i-1"):
        stop.stop(aws, run, dry_run=False, wait=waits.append)
    assert sum(waits) >= 120
    monkeypatch.undo()
