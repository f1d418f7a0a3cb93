"""Rate and time left: by tables, and by many simulated runs."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from control.records import progress

NOW = 1_800_000_000  # a full minute
M = 60


def evenly(jobs_a_minute, minutes, until=NOW):
    return {until - m * M: jobs_a_minute for m in range(1, minutes + 1)}


@pytest.mark.parametrize(
    ("finished", "per_hour", "minutes"),
    [
        ({}, None, None),
        ({NOW - M: 4}, None, None),
        ({NOW - M: 60}, 3600, 1),
        (evenly(10, 60), 600, 10),
        (evenly(1, 600), 60, 40),
        # Faster since ten minutes: only these count.
        ({**evenly(10, 100), **evenly(20, 10)}, 1200, 10),
        # Nothing for an hour after a busy one: that hour is part of it.
        (evenly(1, 60, NOW - 60 * M), 30, 120),
    ],
    ids=["none", "four", "first minute", "even", "slow", "faster now", "stalled"],
)
def test_the_rate_of_late(finished, per_hour, minutes):
    found = progress.rate(finished, NOW)
    if per_hour is None:
        assert found is None
        return
    assert found.minutes == minutes
    assert found.per_hour == pytest.approx(per_hour, rel=0.01)
    assert 0 <= found.low <= found.per_hour <= found.high


def test_a_minute_that_is_not_over_counts_as_much_as_has_passed():
    finished = {**evenly(10, 30), NOW: 5}
    assert progress.rate(finished, NOW + 30).per_hour == pytest.approx(600, rel=0.01)


def test_jobs_that_come_in_bursts_have_a_wider_range_than_even_ones():
    even = progress.rate(evenly(6, 60), NOW)
    bursts = progress.rate({NOW - m * M: 30 for m in (1, 6, 11, 16)}, NOW)
    assert even.per_hour == bursts.per_hour
    assert bursts.high - bursts.low > 1.5 * (even.high - even.low)


def test_what_is_left():
    rate = progress.Rate(per_hour=600, low=300, high=1200, minutes=10)
    assert progress.left(rate, 600) == progress.Left(3600, 1800, 7200)
    assert progress.left(progress.Rate(600, 0, 1200, 10), 600).high == math.inf
    assert progress.left(progress.Rate(0, 0, 0, 10), 600) is None


def test_of_jobs_that_come_by_chance_the_range_holds_the_true_rate_mostly():
    dice = random.Random(1)
    held = 0
    for _ in range(200):
        ends, at = Counter(), float(NOW - 3600)
        while (at := at + dice.expovariate(5 / M)) < NOW:
            ends[int(at // M * M)] += 1
        found = progress.rate(ends, NOW)
        held += found.low <= 300 <= found.high
    assert held >= 180
