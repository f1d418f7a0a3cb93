"""Machine time and what it costs."""

from __future__ import annotations

import pytest

from control import spending
from control.observed import Machine

KIND = "m5.xlarge us-east-1a"


def machine(name, launched, kind=KIND):
    return Machine(name, "sfr-1", launched=launched, vcpus=4, kind=kind)


def test_a_machine_counts_from_its_launch():
    assert spending.grown({}, [machine("a", 100.0)], 160.0) == {
        "until": 160.0,
        "seconds": {KIND: 60.0},
    }


def test_a_run_without_machines_notes_nothing():
    assert spending.grown({}, [], 160.0) == {}


def test_two_monitors_count_the_same_minutes_once():
    known = spending.grown({}, [machine("a", 100.0)], 160.0)
    known = spending.grown(known, [machine("a", 100.0)], 190.0)
    # This one looked earlier, and writes later.
    known = spending.grown(known, [machine("a", 100.0)], 180.0)
    known = spending.grown(known, [machine("a", 100.0)], 220.0)
    assert known == {"until": 220.0, "seconds": {KIND: 120.0}}


def test_each_type_and_zone_is_counted_apart():
    machines = [machine("a", 0.0), machine("b", 10.0), machine("c", 0.0, "c5.large us-east-1b")]
    known = spending.grown({}, machines, 20.0)
    assert known["seconds"] == {KIND: 30.0, "c5.large us-east-1b": 20.0}


def test_a_clock_that_was_set_back_takes_nothing_away():
    known = spending.grown({}, [machine("a", 100.0)], 160.0)
    assert spending.grown(known, [machine("a", 100.0)], 50.0) == known


class Prices:
    """EC2 with two prices of one type in one zone."""

    def get_paginator(self, name):
        assert name == "describe_spot_price_history"
        return self

    def paginate(self, **asked):
        kind, zone = KIND.split(" ")
        entries = [
            {"InstanceType": kind, "AvailabilityZone": zone, "SpotPrice": price}
            for price in ("0.05", "0.07")
        ]
        return [{"SpotPriceHistory": entries}]


def test_the_cost_is_time_times_the_mean_price_of_the_day():
    said = spending.in_words(Prices(), {"until": 0, "seconds": {KIND: 36_000.0}}, 1e9)
    assert said.startswith("Machines: 10.0 hours, about $0.60 ")


@pytest.mark.parametrize("kind", ["m5.xlarge us-east-1z", "c5.large us-east-1a"])
def test_without_a_price_no_cost_is_invented(kind):
    said = spending.in_words(Prices(), {"until": 0, "seconds": {KIND: 1.0, kind: 3600.0}}, 1e9)
    assert said == "Machines: 1.0 hours; what they cost is not known."
