"""monitor --cheapest: what it changes in the decision, as tables; that it is remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest

import run as command_line
from control.aws import session
from control.aws.sqs import Counts
from control.monitoring.facts import EndBroken, Remove, SetDesired, SetTarget
from control.monitoring.pace import Pace
from control.records import monitor_file, states, store
from control.verbs import monitor
from tests.conftest import entry_of
from tests.control.readings import (
    BUSY,
    NOW,
    PACE,
    SURE,
    WORKED,
    actions,
    booting,
    empty,
    fleet,
    machine,
    play,
    service,
)

# Requested long enough ago to apply.
CHEAPEST = replace(BUSY, cheapest_since=NOW - PACE.cheapest)


@pytest.mark.parametrize(
    ("since", "chosen"),
    [
        (0.0, []),
        (NOW, []),
        (NOW - PACE.cheapest + 1, []),
        (NOW - PACE.cheapest, [SetTarget("sfr-1", 1)]),
        (NOW + 3600, []),
    ],
    ids=["never", "just now", "not long enough", "fifteen minutes ago", "a clock that jumped"],
)
def test_after_fifteen_minutes_one_machine_is_wanted_and_none_is_ended(since, chosen):
    assert actions(replace(BUSY, cheapest_since=since)) == chosen


def test_it_is_said_once():
    assert play(CHEAPEST, replace(CHEAPEST, fleets=(fleet(1),))) == [[SetTarget("sfr-1", 1)], []]


def test_a_machine_that_was_taken_back_is_not_replaced():
    interrupted = machine(2, tasks=0, busy=0, draining=True)
    seen = replace(
        CHEAPEST,
        machines=(*BUSY.machines[:2], interrupted),
        fleets=(fleet(1),),
        service=service(3, running=2),
    )
    assert actions(seen) == [Remove((interrupted,))]
    assert actions(replace(seen, machines=BUSY.machines[:2])) == []


def test_jobs_that_come_back_get_containers_but_no_machines():
    seen = replace(
        CHEAPEST,
        queue=Counts(5, 2, 0),
        machines=(machine(0),),
        fleets=(fleet(1),),
        service=service(1),
    )
    assert actions(seen) == [SetDesired(3)]


def test_machines_without_work_go_as_ever():
    seen = replace(
        CHEAPEST,
        queue=Counts(0, 2, 0),
        machines=(machine(0), empty(1), empty(2)),
        service=service(1),
    )
    assert actions(seen, SURE) == [SetTarget("sfr-1", 1), Remove((empty(1), empty(2)))]


def test_a_machine_that_never_registered_is_not_replaced():
    seen = replace(CHEAPEST, machines=(*BUSY.machines[:2], booting(2, age=700)), fleets=(fleet(1),))
    memory = replace(WORKED, unregistered_readings=5)
    assert actions(seen, memory) == [EndBroken(("i-2",))]


def of_two(first, second, **changes):
    """Return a run at work with two fleets of these targets."""
    changes = {"cheapest_since": CHEAPEST.cheapest_since, **changes}
    others = tuple(machine(n, fleet_id="sfr-2") for n in (3, 4))
    return replace(
        BUSY,
        machines=(*BUSY.machines, *others),
        fleets=(fleet(first), fleet(second, fleet_id="sfr-2")),
        service=service(5),
        requested={"sfr-1": 3, "sfr-2": 2},
        **changes,
    )


@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        ((3, 2), [SetTarget("sfr-1", 0), SetTarget("sfr-2", 1)]),
        ((3, 0), [SetTarget("sfr-1", 1)]),
        ((0, 1), []),
    ],
    ids=["the newest keeps one", "one with a target of 0 buys none", "as the user wants"],
)
def test_several_fleets_keep_one_machine_in_all(targets, chosen):
    assert actions(of_two(*targets)) == chosen


def test_a_fleet_that_cannot_be_changed_now_is_changed_later():
    assert actions(replace(CHEAPEST, fleets=(fleet(state="modifying"),))) == []


def test_it_is_remembered_with_the_time_of_the_first(set_up, capsys):
    aws, _, run = set_up()
    monitor.be_cheapest(aws, run, 1000.0)
    run = monitor.be_cheapest(aws, run, 2000.0)
    assert store.load(aws.s3, run.bucket, run.app_name, run.run_id).cheapest_since == 1000.0
    monitor.watch(aws, run, Pace(poll=0.1, settle=0.3, spare=0.3, register=60))
    assert "Cheapest: from 15 minutes after 1970-01-01T00:16:40Z," in capsys.readouterr().out


def test_the_last_machine_of_a_fleet_that_another_has_work_instead_of_is_not_replaced():
    seen = replace(
        of_two(1, 1),
        queue=Counts(0, 2, 0),
        machines=(machine(0), empty(3, fleet_id="sfr-2")),
        service=service(1),
    )
    assert actions(seen, SURE) == [
        SetTarget("sfr-1", 0),
        SetTarget("sfr-2", 0),
        Remove((empty(3, fleet_id="sfr-2"),)),
    ]


@pytest.mark.parametrize(
    ("words", "cheapest"),
    [
        ([], False),
        (["FILE"], False),
        (["FILE", "False"], False),
        (["--cheapest"], True),
        (["FILE", "--cheapest"], True),
        (["FILE", "True"], True),
    ],
)
def test_the_cheapest_way_is_requested_as_always(set_up, monkeypatch, words, cheapest):
    aws, config, the_run = set_up()
    fleets = (entry_of(fleet_id="sfr-1"),)
    the_run = store.change(aws.s3, the_run, lambda r: replace(r, fleets=fleets))
    path = monitor_file.write(config, the_run)
    watched = []

    def watch(_, the_run, __):
        watched.append(the_run)
        return states.count(aws.s3, the_run)

    monkeypatch.setattr(session, "connect", lambda _: aws)
    monkeypatch.setattr(monitor, "watch", watch)
    named = [str(path) if word == "FILE" else word for word in words]
    command_line.main(["--config", str(config.path.parent), "monitor", *named])
    newest = store.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    assert [(one.cheapest_since > 0) for one in (*watched, newest)] == [cheapest] * 2
