"""Waiting for machines, and why none comes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time

import pytest

from control.errors import ExplainedError
from control.explain import no_machine
from control.model import utc
from control.monitoring import act
from control.user_files import fleet_file
from control.verbs import start_cluster, submit


@pytest.fixture
def started(set_up, tmp_path):
    """Requests a machine for a job that no container can take: (clients, run)."""
    runs = []

    def start(config_changes=None, **changes):
        aws, config, run = set_up(MEMORY=900_000, CLUSTER_MACHINES=1, **changes)
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps({"groups": [{"n": 1}]}))
        submit.submit(aws, run, submit.read_jobs(path), tmp_path)
        config = dataclasses.replace(config, **(config_changes or {}))
        run = start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
        runs.append((aws, run))
        return aws, run

    yield start
    for aws, run in runs:
        for _ in act.end_machines(aws, run):
            continue


def waited(aws, run, until, seconds=15):
    """Call wait_for_machines until `until` is true; return its result."""
    looks = itertools.count()
    end = time.monotonic() + seconds

    def clock():
        before = next(looks) < 2  # the beginning, and the first look
        return (
            start_cluster.WAIT_SECONDS if not before and (until() or time.monotonic() > end) else 0
        )

    return start_cluster.wait_for_machines(aws, run, clock, lambda _: None)


def test_machines_on_which_no_container_fits_are_told_in_ecs_own_words(started, capsys):
    aws, run = started()
    with pytest.raises(ExplainedError, match="MEMORY = 900000 does not fit") as caught:
        waited(aws, run, lambda: False)
    assert "Lower MEMORY" in caught.value.fix
    start_cluster.say_why_not(aws, run)
    out = capsys.readouterr().out
    assert "No container runs on the 1 machine" in out
    assert "unable to place a task" in out and "Lower MEMORY" in out


def test_a_price_below_the_market_is_said_while_it_waits_and_with_the_whole_history(
    started, capsys
):
    aws, run = started(MACHINE_PRICE=0.0001)
    assert not waited(aws, run, lambda: start_cluster.why_none_comes(aws, run), seconds=5)
    waited_for = capsys.readouterr().out
    start_cluster.say_why_not(aws, run)
    told = capsys.readouterr().out
    assert "0 up" in waited_for
    assert "fleetRequestChange: submitted" in told and "launchSpecUnusable" in told
    assert "MACHINE_PRICE" in told.splitlines()[-1]


def test_the_machines_of_a_fleet_that_has_ended_are_not_wanted_any_more(started, capsys):
    aws, run = started()
    for _ in act.end_machines(aws, run):
        continue
    capsys.readouterr()
    with pytest.raises(ExplainedError, match="ended by stop, by monitor"):
        waited(aws, run, lambda: False)
    assert "Machines: 0 wanted, 0 up" in capsys.readouterr().out


def test_what_waiting_cannot_mend_ends_it_at_once(started, monkeypatch):
    aws, run = started(MACHINE_PRICE=0.0001)
    events = [("launchSpecTemporarilyBlacklisted", "Error Code: InvalidKeyPair.NotFound")]
    monkeypatch.setattr(start_cluster, "why_none_comes", lambda *_: no_machine.explain(events))
    with pytest.raises(ExplainedError, match="SSH_KEY_NAME") as caught:
        waited(aws, run, lambda: False)
    assert caught.value.fix.endswith(
        "run.py stop && python run.py setup && python run.py startCluster"
    )


def test_a_cause_is_said_once_however_long_it_lasts(started, capsys, monkeypatch):
    aws, run = started(MACHINE_PRICE=0.0001)
    asked = []

    def why(*_):
        asked.append(1)
        return no_machine.explain([("spotInstanceCountLimitExceeded", "Max spot count")])

    monkeypatch.setattr(start_cluster, "why_none_comes", why)
    assert not waited(aws, run, lambda: len(asked) > 3)
    assert capsys.readouterr().out.count("Service Quotas") == 1


def test_the_history_is_asked_for_since_the_request(started):
    aws, run = started(MACHINE_PRICE=0.0001)
    later = (dataclasses.replace(run.fleets[0], requested=utc(time.time() + 60)),)
    assert start_cluster.why_none_comes(aws, dataclasses.replace(run, fleets=later)) == []
