"""Observations of a run on the embedded AWS."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest
from botocore.exceptions import ClientError

from control.aws import ecs
from control.monitoring import act, observe, step
from control.monitoring.facts import Memory, SetDesired, SetTarget
from control.monitoring.timings import Pace
from control.records import store
from control.user_files import fleet_file
from control.verbs import start_cluster, submit

FLEET = fleet_file.FleetFile()


@pytest.fixture
def started(set_up, tmp_path):
    """A run with two machines, onto which no container fits."""
    aws, config, run = set_up(MEMORY=900_000, CLUSTER_MACHINES=2, DOCKER_CORES=1)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": n} for n in range(9)]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    yield aws, config, run
    list(act.end_machines(aws, run))


def observed(aws, run, condition, seconds=20.0):
    """Return the first observation that meets a condition."""
    until = time.monotonic() + seconds
    while not condition(seen := observe.observe(aws, run, time.time())):
        assert time.monotonic() < until, seen
        time.sleep(0.05)
    return seen


def up(count):
    """Return the condition that this number of machines has registered, and no others exist."""
    return lambda seen: (
        len(seen.machines) == count and all(m.container_instance for m in seen.machines)
    )


def test_machines_that_have_registered_are_seen_free(started):
    aws, _, run = started
    for machine in observed(aws, run, up(2)).machines:
        assert (machine.tasks, machine.busy_tasks, machine.stopping) == (0, 0, False)
        assert machine.vcpus >= 1 and not machine.draining


def test_a_machine_that_is_told_to_end_is_no_longer_seen(started):
    aws, _, run = started
    first, second = observed(aws, run, up(2)).machines
    (entry,) = run.fleets
    aws.ec2.modify_spot_fleet_request(
        SpotFleetRequestId=entry.fleet_id,
        TargetCapacity=1,
        ExcessCapacityTerminationPolicy="noTermination",
    )
    observed(aws, run, lambda seen: seen.fleets[0].state == "active")
    aws.ec2.terminate_instances(InstanceIds=[first.instance_id])
    left = observe.observe(aws, run, time.time()).machines
    assert [m.instance_id for m in left] == [second.instance_id]


def test_the_machines_that_were_confirmed_are_those_of_the_last_resize(started):
    aws, config, run = started
    (entry,) = run.fleets
    assert observe.observe(aws, run, 0.0).requested == {entry.fleet_id: 2}
    observed(aws, run, lambda seen: seen.fleets[0].state == "active")
    config = dataclasses.replace(run.config, CLUSTER_MACHINES=3)
    run = store.change(aws.s3, run, lambda r: dataclasses.replace(r, config=config))
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    assert observe.observe(aws, run, 0.0).requested == {entry.fleet_id: 3}


def test_a_fleet_that_another_monitor_changes_is_left_to_the_next_step(started, monkeypatch):
    aws, _, run = started
    (entry,) = run.fleets
    before = ecs.service_state(aws.ecs, run).desired
    chosen = [SetTarget(entry.fleet_id, 1), SetDesired(before + 5)]
    monkeypatch.setattr(step, "decide", lambda *_: (chosen, Memory()))

    def refuse(**_):
        error = {"Code": "FleetNotInModifiableState", "Message": "modifying"}
        raise ClientError({"Error": error}, "ModifySpotFleetRequest")

    aws.ec2.meta.events.register_last("before-call.ec2.ModifySpotFleetRequest", refuse)
    taken = step.step(aws, run, time.time(), Pace())
    assert taken.lines == ("another monitor is changing the fleet right now",)
    assert ecs.service_state(aws.ecs, run).desired == before


@pytest.mark.parametrize("code", ["ServiceNotActiveException", "ServiceNotFoundException"])
def test_a_service_that_another_monitor_ends_is_left_to_the_next_step(started, monkeypatch, code):
    aws, _, run = started
    monkeypatch.setattr(step, "decide", lambda *_: ([SetDesired(1)], Memory()))

    def refuse(**_):
        raise ClientError({"Error": {"Code": code, "Message": "gone"}}, "UpdateService")

    call = "before-call.ecs.UpdateService"
    aws.ecs.meta.events.register_last(call, refuse, unique_id="refuse")
    try:
        taken = step.step(aws, run, time.time(), Pace())
    finally:
        aws.ecs.meta.events.unregister(call, unique_id="refuse")
    assert taken.lines == ("another monitor is ending the service right now",)
    assert not taken.ended


def test_a_service_that_another_monitor_has_ended_is_ended(started, monkeypatch):
    aws, _, run = started
    seen = ecs.service_state(aws.ecs, run)
    list(act.end_machines(aws, run))
    monkeypatch.setattr(ecs, "service_state", lambda *_: seen)
    assert not ecs.delete_service(aws.ecs, run)
