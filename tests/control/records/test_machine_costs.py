"""The cost of machines: so far, and at the end."""

from __future__ import annotations

import pytest

from control.records import machine_costs
from tests.conftest import config_of

KIND, OTHER = "m5.xlarge us-east-1a", "c5.large us-east-1b"
# Two hours: in the first one machine, in the second three.
TIME = {
    "until": 7200.0,
    "seconds": {KIND: 4 * 3600.0},
    "begin": 0.0,
    "step": 3600.0,
    "bins": {KIND: [3600.0, 3 * 3600.0]},
}
PRICES = {KIND: [(-50.0, 0.10), (3600.0, 0.20)]}


def test_each_hour_costs_what_it_cost_at_that_time():
    cost = machine_costs.machine_cost(TIME, PRICES)
    assert cost.hours == 4
    assert cost.dollars == pytest.approx(1 * 0.10 + 3 * 0.20)
    assert cost.unpriced_hours == 0


def test_hours_without_a_series_cost_what_is_paid_last():
    cost = machine_costs.machine_cost({"until": 7200.0, "seconds": {KIND: 7200.0}}, PRICES)
    assert cost.dollars == pytest.approx(2 * 0.20)


def test_without_a_price_no_cost_is_invented():
    cost = machine_costs.machine_cost(
        {**TIME, "seconds": {**TIME["seconds"], OTHER: 1800.0}}, PRICES
    )
    assert cost.dollars == pytest.approx(0.70)
    assert cost.unpriced_hours == 0.5
    assert [(one.kind, one.hours) for one in cost.kinds] == [(OTHER, 0.5), (KIND, 4)]


@pytest.mark.parametrize(
    ("time", "prices", "said"),
    [
        (TIME, PRICES, "Machines: 4.0 hours, about $0.70 at the spot prices of that time; "),
        (
            {"until": 7200.0, "seconds": {KIND: 24.0}},
            *(PRICES, "Machines: 0.0067 hours, under $0.01 at the spot prices of that time; "),
        ),
        ({}, {}, "Machines: 0 hours, at an unknown price."),
        (TIME, {}, "Machines: 4.0 hours, at an unknown price."),
        (
            {**TIME, "seconds": {**TIME["seconds"], OTHER: 1800.0}},
            PRICES,
            "about $0.70 (without 0.5 hours without a known price) at",
        ),
    ],
    ids=["all known", "seconds", "no machines", "no price", "some known"],
)
def test_the_sentence(time, prices, said):
    assert said in machine_costs.in_words(machine_costs.machine_cost(time, prices))


def test_what_is_expected_grows_with_the_hours_left():
    assert machine_costs.expected(1.0, 0.5, (2.0, 4.0)) == (2.0, 3.0)


def test_jobs_need_the_machine_hours_that_they_fill():
    config = config_of(TASKS_PER_MACHINE=2, DOCKER_CORES=4)
    assert machine_costs.needed_hours(config, 800, 360.0) == 10.0


def test_prices_come_from_ec2(aws_with_prices):
    ec2, kind = aws_with_prices
    time = {"until": 7200.0, "seconds": {kind: 7200.0}, "begin": 0.0, "step": 7200.0}
    cost = machine_costs.so_far(ec2, {**time, "bins": {kind: [7200.0]}}, 7200.0)
    assert cost.dollars == pytest.approx(2 * machine_costs.hourly(ec2, [kind], 7200.0))
    assert machine_costs.hourly(ec2, [kind, kind], 7200.0) == pytest.approx(cost.dollars)
    assert machine_costs.hourly(ec2, [kind, "m5.xlarge nowhere-1a"], 7200.0) is None


@pytest.fixture
def aws_with_prices(embedded):
    return embedded.ec2, KIND
