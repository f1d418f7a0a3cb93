"""The price that startCluster shows before it asks."""

from datetime import datetime, timezone

import pytest

from control.aws.ec2 import MachineType, Subnet
from control.aws.launch_template import Plan
from control.aws.spot_prices import Prices, estimate_price, price_in_words, recent_prices

MONTH = "the highest price of 30 days"


@pytest.mark.parametrize(
    ("machines", "hours", "price_limit", "hourly_limit", "hourly", "at_most", "bound"),
    [
        (10, 72, None, None, (0.5, 1.0), 108.0, MONTH),
        (10, 72, 0.2, None, (0.5, 1.0), 144.0, "MACHINE_PRICE"),
        (10, 72, 0.08, None, (0.5, 0.8), 57.6, "MACHINE_PRICE"),
        (10, 72, None, 0.6, (0.5, 0.6), 43.2, "MAX_HOURLY_COST"),
        (10, 72, None, 9.0, (0.5, 1.0), 108.0, MONTH),
        (1, 1, 0.2, 0.1, (0.05, 0.1), 0.1, "MAX_HOURLY_COST"),
    ],
)
def test_what_machines_cost(machines, hours, price_limit, hourly_limit, hourly, at_most, bound):
    found = estimate_price(
        Prices(0.05, 0.10, 0.05, 0.15), machines, hours, price_limit, hourly_limit
    )
    assert (found.hourly_low, found.hourly_high) == pytest.approx(hourly)
    assert found.at_most == pytest.approx(at_most)
    assert found.bound == bound


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        (
            Prices(0.5, 1.0, 0.5, 1.5),
            "1 machine (m5.xlarge or m6i.xlarge): $0.50 to $1.00 an hour; at most $108.00 in 72 "
            "hours (MAX_RUN_HOURS) at the highest price of 30 days, less when the jobs are done "
            "earlier.",
        ),
        (
            Prices(0.132, 0.134, 0.132, 0.134),
            "1 machine (m5.xlarge or m6i.xlarge): $0.13 an hour; at most $9.65 in 72 hours "
            "(MAX_RUN_HOURS) at the highest price of 30 days, less when the jobs are done earlier.",
        ),
    ],
    ids=["a span", "one price is no span"],
)
def test_the_sentence_names_machines_hours_and_what_the_limit_rests_on(prices, words):
    found = estimate_price(prices, 1, 72, None, None)
    assert price_in_words(found, ["m5.xlarge", "m6i.xlarge"], 1, 72.0) == words


NOW = 1_800_000_000.0
PLAN = Plan(
    fleet_role_arn="arn:fleet",
    instance_profile_arn="arn:profile",
    image_id="ami-1",
    root_device="/dev/xvda",
    volume_gib=30,
    subnets=(Subnet("subnet-a", "us-east-1a"),),
    security_group_ids=(),
    types=(MachineType("m5.xlarge", 4, 16384, "x86_64", 0),),
)


class History:
    """EC2 with these changes of price: (days ago, zone, price)."""

    def __init__(self, *changes):
        self.changes = changes

    def get_paginator(self, name):
        assert name == "describe_spot_price_history"
        return self

    def paginate(self, *, InstanceTypes, StartTime, **_):
        entries = [
            {
                "InstanceType": "m5.xlarge",
                "AvailabilityZone": zone,
                "SpotPrice": str(price),
                "Timestamp": datetime.fromtimestamp(NOW - days * 86_400, timezone.utc),
            }
            for days, zone, price in self.changes
        ]
        return [{"SpotPriceHistory": entries}]


def test_an_old_price_counts_for_the_most_and_not_for_today():
    ec2 = History((29, "us-east-1a", 0.2), (20, "us-east-1a", 0.1), (0.5, "us-east-1a", 0.12))
    assert recent_prices(ec2, PLAN, NOW) == Prices(0.1, 0.12, 0.1, 0.2)


def test_the_prices_of_other_zones_are_not_ours():
    ec2 = History((2, "us-east-1a", 0.1), (2, "us-east-1b", 0.01))
    assert recent_prices(ec2, PLAN, NOW) == Prices(0.1, 0.1, 0.1, 0.1)
    assert recent_prices(History((2, "us-east-1b", 0.01)), PLAN, NOW) is None
