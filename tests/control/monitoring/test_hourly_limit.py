"""MAX_HOURLY_COST on machines that run, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.aws.sqs import Counts
from control.monitoring.decide import decide
from control.monitoring.facts import EndBroken, EndCostly, Remove, SetDesired, SetTarget
from tests.control.readings import (
    BUSY,
    CONFIG,
    DONE,
    NOW,
    PACE,
    WORKED,
    actions,
    booting,
    empty,
    fleet,
    idle,
    machine,
    service,
)

KIND = "m5.xlarge us-east-1a"
LIMIT = replace(CONFIG, MAX_HOURLY_COST=0.25)
# The three machines of BUSY cost 0.30 an hour, which was seen a minute ago already.
DEAR = replace(WORKED, prices={KIND: 0.1}, priced=NOW, over_since=NOW - PACE.spare)


def kind(*machines, name=KIND):
    return tuple(replace(m, kind=name) for m in machines)


THREE = replace(BUSY, machines=kind(*BUSY.machines))


def ended(seen, memory=DEAR, config=LIMIT):
    """Return the ids of the machines that are ended for their cost."""
    return [
        [m.instance_id for m in action.machines]
        for action in actions(seen, memory, config)
        if isinstance(action, EndCostly)
    ]


def test_the_target_goes_down_before_the_machine_that_is_too_much():
    assert actions(THREE, DEAR, LIMIT) == [
        SetTarget("sfr-1", 2),
        EndCostly((THREE.machines[0],), pytest.approx(0.3), 0.25),
    ]


@pytest.mark.parametrize("limit", [None, 0.3, 1.0])
def test_what_is_within_the_limit_runs_on(limit):
    assert actions(THREE, DEAR, replace(CONFIG, MAX_HOURLY_COST=limit)) == []


def test_without_a_price_nothing_is_ended():
    assert actions(THREE, replace(DEAR, prices={}), LIMIT) == []


def test_one_look_is_not_enough():
    """EC2 replaces a machine that it takes back before that is gone."""
    _, memory = decide(THREE, replace(DEAR, over_since=None), LIMIT, PACE)
    assert memory.over_since == NOW
    waits = [0, PACE.spare - 1, PACE.spare]
    looks = [ended(replace(THREE, now=NOW + wait), memory) for wait in waits]
    assert looks == [[], [], [["i-0"]]]


def test_a_clock_that_was_set_back_does_not_keep_expensive_machines():
    memory = replace(DEAR, over_since=NOW + 3600)
    assert decide(THREE, memory, LIMIT, PACE)[1].over_since == NOW


def test_the_wait_starts_again_when_prices_have_fallen():
    cheap = replace(DEAR, prices={KIND: 0.08})
    assert decide(THREE, cheap, LIMIT, PACE)[1].over_since is None


@pytest.mark.parametrize(
    ("machines", "first"),
    [
        ((machine(0), idle(1), machine(2)), "i-1"),
        ((machine(0), idle(1), empty(2)), "i-2"),
        ((idle(0), empty(1), booting(2)), "i-2"),
        ((machine(0), machine(1, launched=NOW - 60), machine(2)), "i-1"),
        ((machine(0, tasks=2, busy=2), machine(1, tasks=2, busy=1), machine(2, busy=2)), "i-1"),
    ],
    ids=[
        "none at work before those at work",
        "no container before one without work",
        "not registered before registered",
        "the youngest of those at work",
        "the one with less work",
    ],
)
def test_what_is_ended_first(machines, first):
    assert ended(replace(THREE, machines=kind(*machines))) == [[first]]


def test_as_many_are_ended_as_are_too_many_and_those_at_work_last():
    many = kind(machine(0), idle(1), machine(2), empty(3), machine(4))
    seen = replace(THREE, machines=many, fleets=(fleet(5),))
    assert ended(seen) == [["i-3", "i-1", "i-0"]]
    assert actions(seen, DEAR, LIMIT)[0] == SetTarget("sfr-1", 2)


def test_a_limit_below_the_price_of_one_machine_ends_all():
    seen = replace(THREE, machines=THREE.machines[:1], fleets=(fleet(1),))
    assert ended(seen, config=replace(CONFIG, MAX_HOURLY_COST=0.05)) == [["i-0"]]


def test_a_machine_that_leaves_already_is_not_counted():
    leaving = kind(machine(2, draining=True))
    assert ended(replace(THREE, machines=(*THREE.machines[:2], *leaving))) == []


def test_a_broken_machine_goes_and_is_not_replaced():
    seen = replace(
        THREE, machines=(*THREE.machines, *kind(booting(3, age=700))), fleets=(fleet(4),)
    )
    memory = replace(DEAR, unregistered_readings=5)
    assert actions(seen, memory, LIMIT) == [
        SetTarget("sfr-1", 2),
        EndCostly((seen.machines[0],), pytest.approx(0.3), 0.25),
        EndBroken(("i-3",)),
    ]


def test_each_kind_has_its_own_price_and_an_unknown_one_the_highest():
    machines = (*kind(machine(0)), *kind(machine(1), name="c5.large us-east-1b"), machine(2))
    memory = replace(DEAR, prices={KIND: 0.1, "c5.large us-east-1b": 0.04})
    seen = replace(THREE, machines=machines)
    assert ended(seen, memory, replace(CONFIG, MAX_HOURLY_COST=0.24)) == []
    assert ended(seen, memory, replace(CONFIG, MAX_HOURLY_COST=0.23)) == [["i-0"]]


@pytest.mark.parametrize("state", ["submitted", "modifying"])
def test_a_fleet_that_would_replace_it_loses_no_machine(state):
    assert ended(replace(THREE, fleets=(fleet(state=state),))) == []


def test_of_several_fleets_each_target_follows_its_own_machines():
    others = kind(idle(3, fleet_id="sfr-2"), idle(4, fleet_id="sfr-2"))
    seen = replace(
        THREE,
        machines=(*THREE.machines, *others),
        fleets=(fleet(3), fleet(2, fleet_id="sfr-2")),
        service=service(5),
        requested={"sfr-1": 3, "sfr-2": 2},
    )
    assert actions(seen, DEAR, LIMIT) == [
        SetTarget("sfr-1", 2),
        SetTarget("sfr-2", 0),
        EndCostly((*others, THREE.machines[0]), pytest.approx(0.5), 0.25),
    ]


TWO_LEFT = replace(THREE, queue=Counts(50, 4, 0), machines=THREE.machines[:2], fleets=(fleet(2),))


@pytest.mark.parametrize(
    ("price", "chosen"),
    [
        (0.1, [SetDesired(2)]),
        (0.083, [SetDesired(2)]),
        (0.079, [SetTarget("sfr-1", 3)]),
    ],
    ids=["too expensive", "not clearly below the limit", "cheap again"],
)
def test_machines_come_back_only_when_they_are_clearly_within_the_limit(price, chosen):
    memory = replace(DEAR, prices={KIND: price}, over_since=None)
    assert actions(TWO_LEFT, memory, LIMIT) == chosen


def test_a_machine_that_an_interrupted_monitor_drained_is_not_replaced_above_the_limit():
    drained = kind(empty(2, draining=True))
    seen = replace(TWO_LEFT, machines=(*TWO_LEFT.machines, *drained))
    memory = replace(DEAR, over_since=None)
    assert actions(seen, memory, LIMIT) == [SetDesired(2), Remove(drained)]


def test_a_machine_that_is_to_come_is_paid_too():
    seen = replace(TWO_LEFT, machines=TWO_LEFT.machines[:1], requested={"sfr-1": 5})
    memory = replace(DEAR, prices={KIND: 0.079}, over_since=None)
    assert actions(seen, memory, LIMIT) == [SetTarget("sfr-1", 3)]


def test_a_rise_of_the_price_in_mid_run():
    """Three, then two, and three again when the price has fallen."""
    after = replace(TWO_LEFT, service=service(3, running=2))
    said = []
    memory = WORKED
    for minute, (price, seen) in enumerate(
        [(0.08, THREE), (0.1, THREE), (0.1, THREE), (0.1, after), (0.07, TWO_LEFT)]
    ):
        memory = replace(memory, prices={KIND: price})
        chosen, memory = decide(replace(seen, now=NOW + 60 * minute), memory, LIMIT, PACE)
        said.append([a for a in chosen if isinstance(a, SetTarget | SetDesired | EndCostly)])
    assert said == [
        [],
        [],
        [SetTarget("sfr-1", 2), EndCostly((THREE.machines[0],), pytest.approx(0.3), 0.25)],
        [SetDesired(2)],
        [SetTarget("sfr-1", 3)],
    ]


def test_machines_without_work_go_as_ever_below_the_limit():
    seen = replace(DONE, machines=kind(idle(0), empty(1)), fleets=(fleet(2),), service=service(1))
    memory = replace(DEAR, over_since=None, spare_since=NOW - PACE.spare)
    assert actions(seen, memory, LIMIT) == [SetTarget("sfr-1", 1), Remove((seen.machines[1],))]
