"""The charts: the places of their words, their axes, and the sentences above them."""

from __future__ import annotations

import dataclasses
import re

import pytest

from control.model import utc
from control.reports import charts
from control.reports.data import Machines, Progress
from tests import report_example
from tests.conftest import ROOT, config_of
from tests.report_example import BEGAN, record

EMPTY = report_example.make()
LINE = 12  # px, the height of a line of text


def texts(chart, name="wide"):
    """Return (text, x, y) of each text in a chart, in pixels."""
    found = re.findall(r'<text x="([-\d.]+)" y="([-\d.]+)"[^>]*>([^<]*)<', chart.svg[name])
    return [(text, float(x), float(y)) for x, y, text in found]


def written(chart, name="wide"):
    return [text for text, _, _ in texts(chart, name)]


def progress(done, failed, cancelled=(), step=60.0, begin=BEGAN):
    """Return the chart of jobs that ended in each bin of time."""
    none = (0,) * len(done)
    found = Progress(utc(begin), step, tuple(done), none, tuple(cancelled or none), tuple(failed))
    counts = {"done": sum(done), "cancelled": sum(cancelled), "failed": sum(failed)}
    return charts.progress(dataclasses.replace(EMPTY, progress=found, **counts))


def machines(up, hours=1.0, end=BEGAN + 7200):
    found = Machines(utc(BEGAN), utc(end), 3600.0, tuple(up), hours, places=1, busy_share=0.5)
    return charts.machines(dataclasses.replace(EMPTY, machines=found))


@pytest.mark.parametrize("name", charts.WIDTHS)
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


def test_no_line_goes_through_the_name_of_another():
    svg = progress([0, 3], [0, 3]).svg["wide"]
    names = re.findall(r"<text[^>]*>3 (?:done|failed)<", svg)
    assert len(names) == 2
    for name in names:
        # Its rim hides what is below it, and all lines are below it.
        assert 'class="name ' in name
        assert svg.index(name) > svg.rindex("<polyline")
    style = (ROOT / "control/reports/report_page.css").read_text()
    assert re.search(r"\.name \{[^}]*paint-order: stroke; stroke: var\(--paper\)", style)


MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.mark.parametrize("name", charts.WIDTHS)
@pytest.mark.parametrize("begin", [BEGAN, BEGAN + 25 * MINUTE + 7, BEGAN + 23.9 * HOUR])
@pytest.mark.parametrize(
    ("span", "like"),
    [
        (2, r"\d\d:\d\d:\d\d"),
        (20, r"\d\d:\d\d:\d\d"),
        (90, r"\d\d:\d\d:\d\d"),
        (4 * MINUTE, r"\d\d:\d\d:\d\d|\d\d:\d\d"),
        (50 * MINUTE, r"\d\d:\d\d"),
        (7 * HOUR, r"\d\d:\d\d|Jan \d+"),
        (30 * HOUR, r"\d\d:\d\d|Jan \d+"),
        (9 * DAY, r"Jan \d+"),
        (80 * DAY, r"(Jan|Feb|Mar) \d+"),
    ],
)
def test_the_times_below_a_chart_differ(name, begin, span, like):
    chart = progress([1, 1], [0, 0], step=span / 2, begin=begin)
    times = [t for t in written(chart, name) if re.fullmatch(r"[\d:]{5,8}|[A-Z]\w\w \d+", t)]
    assert 2 <= len(times) <= 7
    # The same time of another day stands beyond that day's date.
    days = re.split(r"[A-Z]\w\w \d+", " ".join(times))
    assert [day for day in days if len(day.split()) > len(set(day.split()))] == []
    dates = [time for time in times if ":" not in time]
    assert len(dates) == len(set(dates))
    assert [t for t in times if not re.fullmatch(like, t)] == []


@pytest.mark.parametrize(
    ("up", "said"),
    [
        ([1.9, 0.4], "At most 2 machines at a time"),
        ([2.03], "At most 2 machines at a time"),
        ([0.04], "At most 1 machine at a time"),
        ([1.0, 3.0], "At most 3 machines at a time"),
    ],
)
def test_machines_are_whole(up, said):
    assert machines(up).says.startswith(said)


def test_machines_of_seconds_are_shown_in_seconds():
    chart = machines([2.0], hours=18 / 3600, end=BEGAN + 9)
    assert chart.says == "At most 2 machines at a time, 18 s of machine time."
    times = [text for text in written(chart) if ":" in text]
    assert (times[0], times[-1]) == ("00:00:00", "00:00:08")


def test_the_last_bin_of_machines_ends_with_the_run():
    (area,) = re.findall(r'class="area" d="([^"]*)"', machines([1.0], end=BEGAN + 9).svg["wide"])
    right = float(re.findall(r"H([\d.]+)", area)[-1])
    assert 450 < right <= charts.WIDTHS["wide"]


def test_three_lines_have_three_names():
    chart = progress([0, 4], [0, 4], cancelled=[0, 4])
    ends = sorted(y for text, _, y in texts(chart) if re.match("4 [a-z]", text))
    assert len(ends) == 3 and ends[1] - ends[0] >= LINE and ends[2] - ends[1] >= LINE
    assert chart.says == "12 jobs ended within 2 min, 4 of them failed."


def test_jobs_that_ended_in_the_same_second_have_a_chart():
    chart = progress([8], [0], step=1.0)
    assert "8 done" in written(chart)
    assert [text for text in written(chart) if ":" in text] == ["00:00:00", "00:00:01"]


def test_no_number_stands_above_the_plot():
    chart = progress([0, 20], [0, 28])
    numbers = [y for text, _, y in texts(chart) if re.fullmatch(r"\d+", text)]
    assert len(numbers) >= 3 and min(numbers) >= 0


def made(done, **settings):
    """Return the report of done jobs with such settings."""
    return report_example.make(done, config=config_of(**{"DOCKER_CORES": 1, **settings}))


def numbers(chart):
    return [float(text) for text in written(chart) if re.fullmatch(r"\d+(\.\d+)?", text)]


def test_memory_far_below_its_limit_has_a_scale_of_its_own():
    done = [record(i, peak_memory_mb=20.0 + i) for i in range(5)]
    chart = charts.memory(made(done, MEMORY=15_000))
    assert "MB" in written(chart) and 10 <= max(numbers(chart)) <= 30
    assert not [text for text in written(chart) if "MEMORY" in text]
    assert chart.says == (
        "The largest job used 24 MB of memory; MEMORY gives each job 15 GB, more than the chart "
        "shows."
    )


def test_memory_near_its_limit_is_shown_against_it():
    done = [record(i, peak_memory_mb=3000.0 + i) for i in range(5)]
    chart = charts.memory(made(done, MEMORY=16_000, DOCKER_CORES=4))
    assert {"GB", "MEMORY for each job"} <= set(written(chart))
    assert chart.says == (
        "The largest job used 3.0 GB of memory; MEMORY gives each of 4 jobs that run together 4 GB."
    )


@pytest.mark.parametrize(
    ("shares", "said", "drawn"),
    [
        (1024, "there is 1 for each job.", True),
        (2048, "there are 2 for each job, more than the chart shows.", False),
    ],
)
def test_processors_are_shown_against_those_there_are(shares, said, drawn):
    done = [record(i, seconds=100.0, cpu_seconds=70.0 + i) for i in range(5)]
    chart = charts.cores(made(done, CPU_SHARES=shares))
    assert chart.says == f"A job kept 0.72 processors busy on average; {said}"
    assert ("for each job" in written(chart)) is drawn


def test_on_this_computer_no_limit_of_machines_is_drawn():
    done = [record(i, seconds=100.0, peak_memory_mb=3000.0) for i in range(5)]
    report = report_example.make(done, local=True, config=config_of(DOCKER_CORES=1))
    memory, cores = charts.memory(report), charts.cores(report)
    assert memory.says == "The largest job used 3 GB of memory."
    assert cores.says == "A job kept 0.5 processors busy on average."
    assert not [text for text in written(memory) + written(cores) if "each job" in text]


def test_what_is_beyond_a_chart_is_more_and_only_of_time_longer():
    jobs = [record(i, seconds=10.0, peak_memory_mb=100.0) for i in range(200)]
    jobs.append(record(200, seconds=1000.0, peak_memory_mb=9000.0))
    content = made(jobs)
    assert "0.5 % longer →" in written(charts.durations(content))
    assert "0.5 % more →" in written(charts.memory(content))
