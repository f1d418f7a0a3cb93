"""The charts: where their words stand, what their axes say, and what is said above them."""

from __future__ import annotations

import re

import pytest

from control.reports import report_charts
from control.services import records
from tests.report_example import BEGAN

LINE = 12  # px, the height of a line of text


def texts(chart, name="wide"):
    """(what is written, x, y) in a chart, in px of the plot."""
    found = re.findall(
        r'<text[^>]*transform="translate\(([-\d.]+),([-\d.]+)\)[^>]*>([^<]*)<', chart.svg[name]
    )
    return [(text, float(x), float(y)) for x, y, text in found]


def written(chart, name="wide"):
    return [text for text, _, _ in texts(chart, name)]


def progress(done, failed, step=60.0, begin=BEGAN):
    """The chart of jobs that were done and failed in each bin of time."""
    found = {"begin": records.utc(begin), "step": step, "done": done, "failed": failed}
    return report_charts.progress({"progress": {**found, "skipped": [0] * len(done)}})


def machines(up, step=3600.0, hours=1.0, begin=BEGAN):
    found = {"begin": records.utc(begin), "step": step, "up": up, "hours": hours}
    return report_charts.machines({"machines": found})


@pytest.mark.parametrize("name", report_charts.WIDTHS)
@pytest.mark.parametrize(
    ("done", "failed"), [(3, 3), (100, 95), (95, 100), (100, 86), (1000, 911), (30, 1), (2, 1)]
)
def test_the_names_of_two_lines_are_not_written_over_each_other(name, done, failed):
    chart = progress([0, done], [0, failed])
    ends = {text: y for text, _, y in texts(chart, name) if text.endswith((" done", " failed"))}
    assert len(ends) == 2
    one, other = ends[f"{done:,} done"], ends[f"{failed:,} failed"]
    assert abs(one - other) >= LINE
    if done != failed:
        assert (one < other) == (done > failed)


MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.mark.parametrize("name", report_charts.WIDTHS)
@pytest.mark.parametrize("begin", [BEGAN, BEGAN + 25 * MINUTE + 7, BEGAN + 23.9 * HOUR])
@pytest.mark.parametrize(
    ("span", "like"),
    [
        (2, r"\d\d:\d\d:\d\d"),
        (20, r"\d\d:\d\d:\d\d"),
        (90, r"\d\d:\d\d:\d\d"),
        (4 * MINUTE, r"\d\d:\d\d:\d\d|\d\d:\d\d"),
        (50 * MINUTE, r"\d\d:\d\d"),
        (7 * HOUR, r"\d\d:\d\d|\d\d Jan"),
        (30 * HOUR, r"\d\d:\d\d|\d\d Jan"),
        (9 * DAY, r"\d\d Jan"),
        (80 * DAY, r"\d\d (Jan|Feb|Mar)"),
    ],
)
def test_the_times_below_a_chart_differ(name, begin, span, like):
    chart = progress([1, 1], [0, 0], step=span / 2, begin=begin)
    times = [t for t in written(chart, name) if re.fullmatch(r"[\d:]{5,8}|\d\d [A-Z]\w\w", t)]
    assert 2 <= len(times) <= 7
    # The same time of another day stands beyond that day's date.
    days = re.split(r"\d\d [A-Z]\w\w", " ".join(times))
    assert [day for day in days if len(day.split()) > len(set(day.split()))] == []
    dates = [time for time in times if ":" not in time]
    assert len(dates) == len(set(dates))
    assert [t for t in times if not re.fullmatch(like, t)] == []


@pytest.mark.parametrize(
    ("up", "said"),
    [
        ([1.9, 0.4], "At most 2 machines at a time"),
        ([0.3], "At most 1 machine at a time"),
        ([1.0, 3.0], "At most 3 machines at a time"),
    ],
)
def test_machines_are_whole(up, said):
    assert machines(up).says.startswith(said)


def test_no_number_stands_above_the_plot():
    chart = progress([0, 20], [0, 28])
    numbers = [y for text, _, y in texts(chart) if re.fullmatch(r"\d+", text)]
    assert len(numbers) >= 3 and min(numbers) >= 0
