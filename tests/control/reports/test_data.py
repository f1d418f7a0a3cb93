"""Many numbers in a few: spreads, histograms, round steps."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.reports import data

VALUES = st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=300)


def test_a_spread_is_made_of_values_that_were_there():
    found = dataclasses.astuple(data.spread(range(100, 0, -1)))
    assert found[:-1] == (100, 50.5, 1, 50, 90, 99, 100)
    assert dataclasses.astuple(data.spread([7.0]))[:-1] == (1, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0)
    assert data.spread([12.3456]).most == 12.35


@given(VALUES)
def test_a_histogram_counts_every_value(values):
    found = data.histogram(sorted(values))
    assert sum(found.counts) + found.beyond == len(values)
    assert len(found.counts) <= 42
    assert found.width > 0


@given(VALUES)
def test_a_value_is_in_its_bin(values):
    found = data.histogram(sorted(values))
    for number, count in enumerate(found.counts):
        low, high = number * found.width, (number + 1) * found.width
        assert count == sum(low <= value < high for value in values) or found.width < 1e-2


def test_a_long_tail_is_one_number():
    found = data.histogram([1.0] * 999 + [1000.0])
    assert found.beyond == 1
    assert len(found.counts) * found.width < 10


@pytest.mark.parametrize(
    ("least", "of_time", "step"),
    [
        *[(0.3, False, 0.5), (1.0, False, 1.0), (1.01, False, 2.0), (230, False, 250)],
        *[(0.3, True, 0.5), (4, True, 5), (31, True, 60), (1000, True, 1200), (3700, True, 7200)],
    ],
)
def test_steps_are_round(least, of_time, step):
    assert data.step(least, of_time=of_time) == pytest.approx(step)


def test_times_fall_into_bins_and_none_is_lost():
    counts = data.over_time([0.0, 59.9, 60.0, 125.0, 999.0, -5.0], 0.0, 60.0, 3)
    assert counts == (3, 1, 2)
