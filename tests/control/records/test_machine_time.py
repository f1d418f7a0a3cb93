"""The times at which machines were up."""

from __future__ import annotations

import json

import pytest

from control.monitoring.facts import Machine
from control.records import machine_costs

KIND = "m5.xlarge us-east-1a"


def machine(name, launched, kind=KIND):
    return Machine(name, "sfr-1", launched=launched, vcpus=4, kind=kind)


def test_a_machine_counts_from_its_launch():
    known = machine_costs.grown_machine_time({}, [machine("a", 100.0)], 160.0)
    assert known["until"] == 160.0
    assert known["seconds"] == {KIND: 60.0}


def test_a_run_without_machines_notes_nothing():
    assert machine_costs.grown_machine_time({}, [], 160.0) == {}


def test_two_monitors_count_the_same_minutes_once():
    known = machine_costs.grown_machine_time({}, [machine("a", 100.0)], 160.0)
    known = machine_costs.grown_machine_time(known, [machine("a", 100.0)], 190.0)
    # This one looked earlier, and writes later.
    known = machine_costs.grown_machine_time(known, [machine("a", 100.0)], 180.0)
    known = machine_costs.grown_machine_time(known, [machine("a", 100.0)], 220.0)
    assert (known["until"], known["seconds"]) == (220.0, {KIND: 120.0})
    assert sum(known["bins"][KIND]) == 120.0


def test_each_type_and_zone_is_counted_apart():
    machines = [machine("a", 0.0), machine("b", 10.0), machine("c", 0.0, "c5.large us-east-1b")]
    known = machine_costs.grown_machine_time({}, machines, 20.0)
    assert known["seconds"] == {KIND: 30.0, "c5.large us-east-1b": 20.0}


def test_a_clock_that_was_set_back_takes_nothing_away():
    known = machine_costs.grown_machine_time({}, [machine("a", 100.0)], 160.0)
    assert machine_costs.grown_machine_time(known, [machine("a", 100.0)], 50.0) == known


def test_the_series_tells_how_many_machines_were_up_and_when():
    known = {}
    for now in range(60, 601, 60):
        up = [machine("a", 0.0)] + [machine("b", 120.0)] * (120 <= now < 360)
        known = machine_costs.grown_machine_time(known, up, float(now))
    counts = [round(count, 2) for _, count in machine_costs.machines_up(known)]
    assert counts == [1, 1, 2, 2, 2, 1, 1, 1, 1, 1]
    assert machine_costs.machines_up(known)[0][0] == 0.0


def test_the_last_minute_counts_as_far_as_it_has_come():
    known = machine_costs.grown_machine_time({}, [machine("a", 0.0), machine("b", 0.0)], 90.0)
    assert machine_costs.machines_up(known) == [(0.0, 2.0), (60.0, 2.0)]


def test_a_time_without_machines_is_part_of_the_series():
    known = machine_costs.grown_machine_time({}, [machine("a", 0.0)], 60.0)
    known = machine_costs.grown_machine_time(known, [], 180.0)
    known = machine_costs.grown_machine_time(known, [machine("b", 200.0)], 240.0)
    assert [count for _, count in machine_costs.machines_up(known)] == [
        1.0,
        0.0,
        0.0,
        pytest.approx(40 / 60),
    ]


@pytest.mark.parametrize("hours", [3, 72, 1000])
def test_the_series_of_a_long_run_stays_small_and_complete(hours):
    known = {}
    for now in range(60, hours * 3600 + 1, 60):
        known = machine_costs.grown_machine_time(known, [machine("a", 0.0)], float(now))
    assert len(known["bins"][KIND]) <= 120
    assert sum(known["bins"][KIND]) == hours * 3600
    assert {round(count, 6) for _, count in machine_costs.machines_up(known)} == {1.0}
    assert len(json.dumps(known)) < 1500


def test_what_an_earlier_version_noted_goes_on():
    known = machine_costs.grown_machine_time(
        {"until": 600.0, "seconds": {KIND: 500.0}}, [machine("a", 0)], 660.0
    )
    assert known["seconds"] == {KIND: 560.0}
    assert known["bins"] == {KIND: [60.0]}
    assert known["begin"] == 600.0
