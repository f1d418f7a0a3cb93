"""MAX_HOURLY_COST and --cheapest carried out on the embedded AWS, by the step of any monitor."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time

import boto3
import pytest

from control.aws import ecs
from control.aws.session import AWS
from control.monitoring import act, facts, observe, step
from control.monitoring.pace import Pace
from control.records import fleet_requests, store
from control.user_files import fleet_file
from control.verbs import monitor, start_cluster, submit
from tests.injection import Broken, Injection, changing

FLEET = fleet_file.FleetFile()
AT_ONCE = Pace(spare=0.0, cheapest=0.0)


@pytest.fixture
def started(set_up, tmp_path):
    """A run with two machines up, onto which no container fits."""
    aws, config, run = set_up(MEMORY=900_000, CLUSTER_MACHINES=2, DOCKER_CORES=1)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": n} for n in range(9)]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    run = start_cluster.start(aws, config, run, FLEET, yes=True)
    until(lambda: registered(aws, run) == 2)
    yield aws, run
    list(act.end_machines(aws, run))


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def registered(aws, run):
    return sum(m.container_instance != "" for m in observe.observe(aws, run, 0.0).machines)


def with_limit(aws, run, dollars):
    config = dataclasses.replace(run.config, MAX_HOURLY_COST=dollars)
    return store.change(aws.s3, run, lambda r: dataclasses.replace(r, config=config))


def asked(aws):
    """Record each request for prices."""
    times = []
    aws.ec2.meta.events.register(
        "before-call.ec2.DescribeSpotPriceHistory", lambda **_: times.append(1)
    )
    return times


def steps(aws, run, count, pace=AT_ONCE, seconds=60):
    now = time.time()
    return [
        line
        for n in range(count)
        for line in step.step(aws, run, now + n * seconds, pace).lines
        if not line.startswith("containers")
    ]


def test_a_machine_above_the_limit_is_ended_and_not_replaced(started):
    """An m5.xlarge of the embedded AWS costs $0.0672 an hour."""
    aws, run = started
    run = with_limit(aws, run, 0.1)
    said = steps(aws, run, 2)
    assert said[0].endswith("1 machine wanted")
    assert "ended since the machines cost $0.13 an hour, above MAX_HOURLY_COST = 0.1: i-" in said[1]
    assert len(said) == 2
    seen = observe.observe(aws, run, 0.0)
    assert len(seen.machines) == 1 and seen.fleets[0].target == 1
    assert steps(aws, run, 2) == []


def test_prices_are_requested_rarely_by_all_monitors_together(started):
    aws, run = started
    times = asked(aws)
    steps(aws, run, 3)
    assert times == []
    run = with_limit(aws, run, 5.0)
    steps(aws, run, 5, Pace(), seconds=100)
    assert len(times) == 1
    assert store.load(aws.s3, run.bucket, run.app_name, run.run_id).memory["prices"]
    steps(aws, run, 2, Pace(), seconds=10_000)
    assert len(times) == 2


def test_the_cheapest_run_wants_one_machine_and_ends_none(started):
    aws, run = started
    monitor.be_cheapest(aws, run, time.time() - 1)
    (said,) = steps(aws, run, 3)
    assert said.endswith("1 machine wanted")
    seen = observe.observe(aws, run, 0.0)
    assert len(seen.machines) == 2 and seen.fleets[0].target == 1


def test_the_next_start_of_machines_forgets_the_cheapest(started):
    aws, run = started
    monitor.be_cheapest(aws, run, time.time() - 1)
    steps(aws, run, 1)
    until(lambda: observe.observe(aws, run, 0.0).fleets[0].state == "active")
    run = fleet_requests.resize(aws, run, observe.observe(aws, run, 0.0).fleets, 2)
    assert run.cheapest_since == 0.0


def test_a_machine_that_has_begun_to_work_meanwhile_gets_no_more_and_one_at_work_ends(
    started, monkeypatch
):
    aws, run = started
    first, second = observe.observe(aws, run, 0.0).machines
    monkeypatch.setattr(
        ecs,
        "at_work",
        lambda *_: {first.container_instance, second.container_instance},
    )
    order = facts.EndCostly((first, dataclasses.replace(second, busy_tasks=1)), 0.13, 0.05)
    (said,) = act.carry_out(aws, run, order, observe.observe(aws, run, 0.0))
    back = "the jobs of 1 container go back to the queue"
    assert said.endswith(f"MAX_HOURLY_COST = 0.05: {second.instance_id}; {back}")
    left = {m.instance_id: m.draining for m in observe.observe(aws, run, 0.0).machines}
    assert second.instance_id not in left and left[first.instance_id]


def test_interrupted_after_any_call_the_limit_is_kept_by_the_next_steps(started, sample):
    aws, run = started
    run = with_limit(aws, run, 0.1)
    session = boto3.Session(region_name="us-east-1")
    injection = Injection(session)
    breaking = AWS(session)

    def take_step(break_after=0):
        steps(aws, run, 1)  # the first of two looks
        with contextlib.suppress(Broken), injection.watch(break_after=break_after):
            step.step(breaking, run, time.time() + 60, AT_ONCE)
        until(lambda: active(aws, run) and steps(aws, run, 2) == [])
        assert (free(aws, run), fleet_target(aws, run)) == (1, 1), f"after {injection.calls}"

    take_step()
    changes = len(changing(injection.calls))
    assert changes > 2
    for k in sample(range(1, changes + 1), 2):
        ask_for(aws, run, 2)
        until(lambda: free(aws, run) == 2 and active(aws, run))
        take_step(break_after=k)


def free(aws, run):
    """Count machines that have registered and are not draining."""
    seen = observe.observe(aws, run, 0.0)
    return sum(m.container_instance != "" and not m.draining for m in seen.machines)


def active(aws, run):
    return observe.observe(aws, run, 0.0).fleets[0].state == "active"


def fleet_target(aws, run):
    return observe.observe(aws, run, 0.0).fleets[0].target


def ask_for(aws, run, count):
    """Resize as startCluster does."""
    fleet_requests.resize(aws, run, observe.observe(aws, run, 0.0).fleets, count)
