"""Spot prices over time."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from control.aws.spot_prices import mean_price, price_at, price_history, price_span

CHANGES = [(100.0, 0.10), (200.0, 0.20), (400.0, 0.05)]


class EC2:
    """EC2 with a history in two pages, newest first as EC2 has it."""

    def __init__(self):
        self.asked = {}

    def get_paginator(self, name):
        assert name == "describe_spot_price_history"
        return self

    def paginate(self, **asked):
        self.asked = asked
        return [{"SpotPriceHistory": [entry(400, "0.05"), entry(200, "0.20")]}] + [
            {"SpotPriceHistory": [entry(100, "0.10"), entry(50, "0.03", "c5.large")]}
        ]


def entry(when, price, kind="m5.large"):
    moment = datetime.fromtimestamp(when, timezone.utc)
    zone = "us-east-1a"
    return {
        "InstanceType": kind,
        "AvailabilityZone": zone,
        "SpotPrice": price,
        "Timestamp": moment,
    }


def test_the_history_is_kept_by_kind_in_order_of_time():
    ec2 = EC2()
    found = price_history(ec2, ["m5.large", "c5.large", "m5.large"], 100.0, 500.0)
    assert found == {"m5.large us-east-1a": CHANGES, "c5.large us-east-1a": [(50.0, 0.03)]}
    assert ec2.asked["InstanceTypes"] == ["c5.large", "m5.large"]


def test_without_types_ec2_is_not_asked():
    assert price_history(None, [], 0.0, 1.0) == {}


@pytest.mark.parametrize(
    ("when", "price"),
    [(0, 0.10), (100, 0.10), (199, 0.10), (200, 0.20), (399.9, 0.20), (400, 0.05), (9999, 0.05)],
)
def test_the_price_of_a_time_is_the_last_one_set(when, price):
    assert price_at(CHANGES, when) == price


@pytest.mark.parametrize(
    ("start", "end", "price"),
    [
        (100, 200, 0.10),
        (150, 250, 0.15),
        (100, 500, (100 * 0.10 + 200 * 0.20 + 100 * 0.05) / 400),
        (0, 100, 0.10),
        (300, 300, 0.20),
    ],
)
def test_the_mean_weighs_a_price_by_how_long_it_held(start, end, price):
    assert mean_price(CHANGES, start, end) == pytest.approx(price)


def test_the_span_leaves_out_prices_of_another_time():
    assert price_span({"x": CHANGES}, 450, 500) == (0.05, pytest.approx(0.05), 0.05)
    low, _, high = price_span({"x": CHANGES, "y": [(0.0, 0.5)]}, 150, 250)
    assert (low, high) == (0.10, 0.5)
    assert price_span({}, 0, 1) is None
