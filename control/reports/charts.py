"""The charts of the report page, as SVG that takes its colors from the page."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape

from control.model import seconds
from control.reports.report_model import DAY, Report, Spread, step
from control.text import format_duration, format_megabytes, format_percent, several

# Each chart is drawn for a page and for a phone, in pixels: text stays as large.
WIDTHS = {"wide": 500, "narrow": 360}
_HEIGHT, _TOP, _LINE = 200, 24, 14
_DIGIT = 6.7  # the width of a digit
# Shorter machine time is not counted in hours.
FEW_HOURS = 0.1
# A limit is drawn if it is within this multiple of what the bars take.
_NEAR = 1.5


@dataclass(frozen=True)
class Chart:
    """A chart: a sentence with what it shows, and its drawings by width."""

    says: str
    svg: Mapping[str, str]


@dataclass(frozen=True)
class Axis:
    """The range of an axis, its labels by value, and its title."""

    low: float
    high: float
    labels: Sequence[tuple[float, str]]
    title: str = ""


@dataclass(frozen=True)
class Plot:
    """The area between the axes of a drawing, and where values are in it, in pixels."""

    x_axis: Axis
    y_axis: Axis
    width: int

    @property
    def left(self) -> float:
        return 28 + _DIGIT * max(len(label) for _, label in self.y_axis.labels)

    @property
    def right(self) -> float:
        """Return the right end, which leaves room for half of a label there."""
        value, label = self.x_axis.labels[-1] if self.x_axis.labels else (self.x_axis.low, "")
        share = (value - self.x_axis.low) / (self.x_axis.high - self.x_axis.low)
        return self.width - 4 - (_DIGIT / 2 * len(label) if share > 0.9 else 0)

    @property
    def bottom(self) -> float:
        return _HEIGHT - (40 if self.x_axis.title else 22)

    def x(self, value: float) -> float:
        low, high = self.x_axis.low, self.x_axis.high
        return round(self.left + (self.right - self.left) * (value - low) / (high - low), 1)

    def y(self, value: float) -> float:
        return round(self.bottom - (self.bottom - _TOP) * value / self.y_axis.high, 1)

    def axes(self) -> str:
        """Return the axes: lines across at the labels of y, labels, titles."""
        parts = []
        for value, label in self.y_axis.labels:
            y = self.y(value)
            parts.append(_line(self.left, y, self.right, y, "grid"))
            parts.append(_text(label, self.left - 6, y + 4, "end"))
        for value, label in self.x_axis.labels:
            parts.append(_text(label, self.x(value), self.bottom + 16, "middle"))
        middle = (self.left + self.right) / 2, (self.bottom + _TOP) / 2
        parts.append(_text(self.x_axis.title, middle[0], self.bottom + 34, "middle"))
        turned = f'<g transform="translate(12,{middle[1]:g}) rotate(-90)">'
        return f"{''.join(parts)}{turned}{_text(self.y_axis.title, 0, 0, 'middle')}</g>"


def _text(text: str, x: float, y: float, anchor: str, kind: str = "") -> str:
    look = f'text-anchor="{anchor}"' + (f' class="{kind}"' if kind else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text)}</text>' if text else ""


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x1:.1f},{y1:.1f}L{x2:.1f},{y2:.1f}"/>'


def _draw(says: str, x: Axis, y: Axis, marks: Callable[[Plot], str]) -> Chart:
    def drawn(width: int) -> str:
        plot = Plot(x, y, width)
        size = f'width="{width}" height="{_HEIGHT}" viewBox="0 0 {width} {_HEIGHT}"'
        return f"<svg {size}>{plot.axes()}{marks(plot)}</svg>"

    return Chart(says, {name: drawn(width) for name, width in WIDTHS.items()})


def _time_axis(begin: float, end: float) -> Axis:
    """Return an axis in UTC from `begin` to `end` in seconds; no two labels are the same."""
    width = int(step(max(1, (end - begin) / 5), of_time=True))
    ticks = range(math.ceil(begin / width), math.floor(end / width) + 1)
    return Axis(begin, end, [(tick * width, _moment(tick * width, width)) for tick in ticks])


def _moment(time: int, width: int) -> str:
    at = datetime.fromtimestamp(time, timezone.utc)
    if width >= DAY or (width >= 3600 and time % DAY == 0):
        return f"{at:%b} {at.day}"
    return f"{at:%H:%M:%S}" if width < 60 else f"{at:%H:%M}"


def _count_axis(title: str, most: float) -> Axis:
    top = max(1, math.ceil(most))
    labels = [(n, f"{n:,}") for n in range(0, top + 1, max(1, round(step(top / 4))))]
    return Axis(0, top, labels, title)


def _axis(title: str, end: float, ticks: int, label: Callable[[float], str]) -> Axis:
    """Return an axis from 0 to `end` with up to that many round ticks above 0."""
    width = step(end / ticks)
    values = [i * width for i in range(math.floor(end / width * (1 + 1e-9)) + 1)]
    return Axis(0, end, [(value, label(value)) for value in values], title)


def progress(report: Report) -> Chart | None:
    """Draw how many jobs have ended over time; None of fewer than two."""
    found = report.progress
    if not found or report.ended_jobs < 2:
        return None
    good = map(sum, zip(found.done, found.skipped, strict=True))
    word = "done or skipped" if any(found.skipped) else "done"
    states = {word: tuple(good), "cancelled": found.cancelled, "failed": found.failed}
    lines = {
        name: [0, *itertools.accumulate(counts)] for name, counts in states.items() if any(counts)
    }
    begin, bins = seconds(found.begin), len(found.done)
    says = (
        f"{several(report.ended_jobs, 'job')} ended within {format_duration(bins * found.step)}, "
        f"{report.failed:,} of them failed."
    )

    def marks(plot: Plot) -> str:
        drawn, names, above = "", "", math.inf
        for name, counts in sorted(lines.items(), key=lambda line: line[1][-1]):
            kind = name.split()[0]
            points = (f"{plot.x(begin + i * found.step)},{plot.y(n)}" for i, n in enumerate(counts))
            drawn += f'<polyline class="line {kind}" points="{" ".join(points)}"/>'
            # Above its line, and above the name of the line below.
            above = min(plot.y(counts[-1]) - 8, above - _LINE)
            label = f"{counts[-1]:,} {name}"
            names += _text(label, plot.right - 2, above, "end", f"name {kind}")
        return drawn + names

    most = max(counts[-1] for counts in lines.values())
    x = _time_axis(begin, begin + bins * found.step)
    return _draw(says, x, _count_axis("jobs", most), marks)


def machines(report: Report) -> Chart | None:
    """Draw how many machines were up; None if nobody recorded it."""
    found = report.machines
    if not found.up:
        return None
    begin = seconds(found.begin)
    end = max(begin + 1, seconds(found.end))
    # Counts are means of a bin: 1.9 where the second machine came a little later, and 2.03 where
    # its times are rounded.
    most = max(1, math.ceil(max(found.up) - 0.1))
    time = f"{found.hours:,.1f} machine-hours"
    if found.hours < FEW_HOURS:
        time = f"{format_duration(found.hours * 3600)} of machine time"
    says = f"At most {several(most, 'machine')} at a time, {time}."

    def marks(plot: Plot) -> str:
        steps = (
            f"V{plot.y(min(count, most))}H{plot.x(min(end, begin + (i + 1) * found.step))}"
            for i, count in enumerate(found.up)
        )
        base = f"M{plot.x(begin)},{plot.bottom}"
        return f'<path class="area" d="{base}{"".join(steps)}V{plot.bottom}Z"/>'

    return _draw(says, _time_axis(begin, end), _count_axis("machines", most), marks)


def durations(report: Report) -> Chart | None:
    """Draw how long jobs took; None of fewer than two."""
    if not report.jobs or report.jobs.seconds.count < 2:
        return None
    found = report.jobs.seconds
    units = {"hours": 3600, "minutes": 60, "seconds": 1}
    unit, size = next((u, s) for u, s in units.items() if found.p99 >= 1.5 * s or s == 1)
    says = (
        f"Half of the jobs took less than {format_duration(found.median)}, nine in ten less than "
        f"{format_duration(found.p90)}, the longest {format_duration(found.most)}."
    )
    return _histogram(
        says, found, (unit, size), (found.median, "median"), format_duration, "longer"
    )


def memory(report: Report) -> Chart | None:
    """Draw the peak memory of jobs, and what MEMORY leaves for each; None of fewer than two."""
    if not report.jobs or report.jobs.memory_mb.count < 2:
        return None
    found, together = report.jobs.memory_mb, report.config.DOCKER_CORES
    share = report.config.MEMORY / together
    limit = _limit(report, found, share, "MEMORY for each job")
    says = f"The largest job used {format_megabytes(found.most)} of memory"
    if not report.local:
        each = "each job" if together == 1 else f"each of {together} jobs that run together"
        says += f"; MEMORY gives {each} {format_megabytes(share)}{_unless(limit)}"
    unit = ("GB", 1000) if max(found.most, limit[0] if limit else 0) >= 1000 else ("MB", 1)
    return _histogram(f"{says}.", found, unit, limit, format_megabytes, "more")


def cores(report: Report) -> Chart | None:
    """Draw the processors that a job kept busy, and how many each has; None of fewer than two."""
    if not report.jobs or report.jobs.cores.count < 2:
        return None
    found = report.jobs.cores
    share = report.config.CPU_SHARES / 1024 / report.config.DOCKER_CORES
    limit = _limit(report, found, share, "for each job")
    says = f"A job kept {found.mean:.2g} processors busy on average"
    if not report.local:
        there = "is" if share == 1 else "are"
        says += f"; there {there} {share:.2g} for each job{_unless(limit)}"
    unit = ("processors", 1)
    return _histogram(f"{says}.", found, unit, limit, lambda n: f"{n:.3g} processors", "more")


Limit = tuple[float, str] | None


def _limit(report: Report, found: Spread, value: float, label: str) -> Limit:
    """Return a limit if it applied to the jobs, and leaves the bars room."""
    near = value <= _NEAR * found.histogram.end
    return (value, label) if near and not report.local else None


def _unless(limit: Limit) -> str:
    return "" if limit else ", more than the chart shows"


def _histogram(
    says: str,
    found: Spread,
    unit: tuple[str, float],
    rule: Limit,
    named: Callable[[float], str],
    beyond: str,
) -> Chart:
    """Draw bars of shares of the jobs; `unit` is its name and its size in that of the values."""
    histogram, total = found.histogram, found.count
    title, size = unit
    width = histogram.width

    def marks(plot: Plot) -> str:
        drawn = ""
        for i, count in enumerate(histogram.counts):
            if count:
                x, right = plot.x(i * width / size), plot.x((i + 1) * width / size)
                y = plot.y(count / total)
                label = f"{named(i * width)} to {named((i + 1) * width)}: "
                drawn += (
                    f'<path class="bar" d="M{x},{plot.bottom}V{y}H{right}V{plot.bottom}Z">'
                    f"<title>{label}{format_percent(count / total)}</title></path>"
                )
        if rule:
            x = plot.x(rule[0] / size)
            drawn += _line(x, _TOP, x, plot.bottom, "rule")
            at_left = rule[0] > end / 2
            anchor, shift = ("end", 3) if at_left else ("start", -3)
            drawn += _text(rule[1], x + shift, _TOP - 6, anchor, "ink")
        if histogram.beyond:
            text = f"{format_percent(histogram.beyond / total)} {beyond} →"
            drawn += _text(text, plot.x(histogram.end / size), plot.bottom - 4, "end")
        return drawn

    end = max(histogram.end, rule[0] if rule else 0)
    most = max(histogram.counts) / total
    x = _axis(title, end / size, 8, "{:g}".format)
    y = _axis("of the jobs", most, 4, lambda share: f"{100 * share:g} %")
    return _draw(says, x, y, marks)
