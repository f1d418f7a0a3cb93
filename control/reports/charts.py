"""The charts of the report page."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control.errors import UserError
from control.model import seconds
from control.reports import data
from control.text import format_duration, format_hours, format_megabytes, format_percent, several

Spec = dict[str, Any]

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

# What people count time in, so that ticks fall on full minutes, hours and days.
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(m * _MINUTE for m in (1, 2, 5, 10, 15, 30)),
    *(h * _HOUR for h in (1, 2, 3, 6, 12)),
    *(d * _DAY for d in (1, 2, 5, 10, 20, 50, 100)),
)

_TICKS = 5

# Of the height of a plot: what two lines of text need, so that neither is over the other.
_TEXT_SHARE = 0.12


def time(begin: float, end: float) -> Spec:
    """An axis of time in UTC, from `begin` to `end` in seconds; no two neighbours read alike."""
    wanted = (end - begin) / _TICKS
    step = next((one for one in _TIME_STEPS if one >= wanted), _TIME_STEPS[-1])
    ticks = range(math.ceil(begin / step), math.floor(end / step) + 1)
    axis = {
        "title": None,
        "values": [tick * step * 1000 for tick in ticks],
        "labelExpr": _label(step),
    }
    scale = {"type": "utc", "domain": [begin * 1000, end * 1000], "nice": False}
    return {"field": "t", "type": "temporal", "scale": scale, "axis": axis}


def _label(step: int) -> str:
    """The expression of a tick's label: as much of the time as tells it from its neighbours."""
    if step >= _DAY:
        return "utcFormat(datum.value, '%d %b')"
    if step < _MINUTE:
        return "utcFormat(datum.value, '%H:%M:%S')"
    if step < _HOUR:
        return "utcFormat(datum.value, '%H:%M')"
    midnight = "utchours(datum.value) == 0"
    return f"utcFormat(datum.value, {midnight} ? '%d %b' : '%H:%M')"


def count(title: str, most: float) -> Spec:
    """The axis of whole things, from 0 to `most` of them."""
    top = max(most, 1)
    step = max(1, round(data.step(top / 4)))
    values = list(range(0, math.ceil(most) + 1, step))
    axis = {"title": title, "values": values, "format": ",d"}
    scale = {"domain": [0, top], "nice": False}
    return {"field": "n", "type": "quantitative", "axis": axis, "scale": scale}


def beside(value: float, others: list[float], most: float) -> int:
    """How far below the end of a line its name stands, in px: above it, so negative, but below
    it if another line ends just above."""
    return 14 if any(0 <= other - value < _TEXT_SHARE * most for other in others) else -8


Report = Mapping[str, Any]

WIDTHS = {"wide": 500, "narrow": 360}

_HEIGHT = 200

# A limit is drawn if it lies within so many times of what the bars take.
_NEAR = 1.5

_DONE, _FAILED, _INK, _PAPER = "var(--done)", "var(--failed)", "var(--ink)", "var(--paper)"

_CONFIG: Spec = {
    "background": None,
    "view": {"stroke": None},
    "font": "Helvetica, Arial, sans-serif",
    "axis": {
        **{"domain": False, "ticks": False, "labelPadding": 6, "titlePadding": 8},
        **{"gridColor": "var(--line)", "labelColor": "var(--soft)", "titleColor": "var(--soft)"},
        **{"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
        **{"labelOverlap": True, "labelFlush": False},
    },
    "axisX": {"grid": False, "domain": True, "domainColor": "var(--line)"},
    "text": {"fontSize": 12, "color": _INK},
}

_MARK_LABEL = re.compile(r'<(path|text)([^>]*?) aria-label="([^"]*)"([^>]*)/>')


@dataclass(frozen=True)
class Chart:
    """One chart: what it says in a sentence, and its drawings by width."""

    says: str
    svg: Mapping[str, str]


def draw(says: str, spec: Spec) -> Chart:
    """Draw a chart for each width. Raises UserError if the library is not installed."""
    try:
        import vl_convert
    except ImportError as error:
        raise UserError(
            f"The report needs a package that is not installed ({error.name}).",
            "Run: python -m pip install -r files/requirements.txt",
        ) from None
    drawn = {}
    for name, width in WIDTHS.items():
        whole = {
            **spec,
            "width": width,
            "height": _HEIGHT,
            "autosize": {"type": "fit", "contains": "padding"},
            "padding": {"left": 0, "top": 18, "right": 4, "bottom": 0},
            "config": _CONFIG,
        }
        svg = vl_convert.vegalite_to_svg(json.dumps(whole))
        # What a mark is, as the browser's own tooltip.
        drawn[name] = _MARK_LABEL.sub(r"<\1\2\4><title>\3</title></\1>", svg)
    return Chart(says, drawn)


def progress(report: Report) -> Chart | None:
    """Jobs with a record over time, done and failed; None before two points of time."""
    found = report["progress"]
    if not found or len(found["done"]) < 2:
        return None
    begin, step = seconds(found["begin"]), found["step"]
    done = list(itertools.accumulate(map(sum, zip(found["done"], found["skipped"], strict=True))))
    failed = list(itertools.accumulate(found["failed"]))
    word = "done or skipped" if any(found["skipped"]) else "done"
    both = (word, _DONE, done), ("failed", _FAILED, failed)
    lines = [line for line in both if line[2][-1]]
    most = max(counts[-1] for _, _, counts in lines)
    x = time(begin, begin + len(done) * step)
    y = count("jobs", most)
    drawn: list[Spec] = []
    names: list[Spec] = []
    for i, (word, colour, counts) in enumerate(lines):
        points = [{"t": begin * 1000, "n": 0}]
        points += [{"t": (begin + (i + 1) * step) * 1000, "n": n} for i, n in enumerate(counts)]
        # Of two lines with the same end, the second is the lower one.
        above = [line[2][-1] for line in lines[:i]]
        above += [line[2][-1] for line in lines[i + 1 :] if line[2][-1] > counts[-1]]
        label = {"text": f"{counts[-1]:,} {word}", "dy": beside(counts[-1], above, most)}
        line, name = _line(points, colour, label, {"x": x, "y": y})
        drawn.append(line)
        names.append(name)
    says = (
        f"{several(done[-1] + failed[-1], 'job')} ended within "
        f"{format_duration(len(done) * step)}, {failed[-1]:,} of them failed."
    )
    return draw(says, {"layer": drawn + names})


def _line(points: list[Spec], colour: str, label: Spec, encoding: Spec) -> tuple[Spec, Spec]:
    """A line, and its name at its end with a rim that hides lines below it."""
    end = {
        "data": {"values": points[-1:]},
        "mark": {
            **{"type": "text", "align": "right", "dx": -2, **label},
            **{"color": colour, "fontWeight": "bold", "stroke": _PAPER, "strokeWidth": 4},
        },
        "encoding": encoding,
    }
    mark = {"type": "line", "color": colour, "strokeWidth": 2, "strokeJoin": "round"}
    return {"data": {"values": points}, "mark": mark, "encoding": encoding}, end


def machines(report: Report) -> Chart | None:
    """How many machines were up; None if nobody noted it."""
    found = report["machines"]
    if not found["up"]:
        return None
    begin, step = seconds(found["begin"]), found["step"]
    counts = [*found["up"], found["up"][-1]]  # the last holds until the end of its bin
    points = [{"t": (begin + i * step) * 1000, "n": count} for i, count in enumerate(counts)]
    # Counts are means of a bin: 1.9 where the second machine came a little later.
    most = math.ceil(max(found["up"]))
    hours = format_hours(found["hours"])
    says = f"At most {several(most, 'machine')} at a time, {hours} machine-hours."
    mark = {"type": "area", "interpolate": "step-after", "color": _DONE, "opacity": 0.8}
    x = time(begin, begin + len(found["up"]) * step)
    encoding = {"x": x, "y": count("machines", most)}
    return draw(says, {"data": {"values": points}, "mark": mark, "encoding": encoding})


def durations(report: Report) -> Chart | None:
    """How long jobs took."""
    found = report["jobs"]["seconds"]
    if not found or found["count"] < 2:
        return None
    unit, size = next(
        (unit, size)
        for unit, size in (("hours", 3600), ("minutes", 60), ("seconds", 1))
        if found["p99"] >= 1.5 * size or size == 1
    )
    says = (
        f"Half of the jobs took less than {format_duration(found['median'])}, nine in ten less than "
        f"{format_duration(found['p90'])}, the longest {format_duration(found['most'])}."
    )
    marks = [(found["median"] / size, "median")]
    return draw(says, _histogram(found, size, unit, marks, format_duration))


def memory(report: Report) -> Chart | None:
    """Peak memory of jobs, against what MEMORY leaves each."""
    found = report["jobs"]["memory_mb"]
    if not found or found["count"] < 2:
        return None
    together = int(report["settings"]["DOCKER_CORES"])
    share = report["settings"]["MEMORY"] / together
    shown = _near(share, found)
    each = "each job" if together == 1 else f"each of {together} jobs that run together"
    says = (
        f"The largest job used {format_megabytes(found['most'])} of memory; MEMORY gives {each} "
        f"{format_megabytes(share)}{_unless(shown)}."
    )
    size, unit = (1000, "GB") if max(found["most"], share * shown) >= 1000 else (1, "MB")
    marks = [(share / size, "MEMORY for each job")] if shown else []
    return draw(says, _histogram(found, size, unit, marks, format_megabytes, "more"))


def cores(report: Report) -> Chart | None:
    """Processors that a job kept busy, against those there are for it."""
    found = report["jobs"]["cores"]
    if not found or found["count"] < 2:
        return None
    share = report["settings"]["CPU_SHARES"] / 1024 / int(report["settings"]["DOCKER_CORES"])
    shown = _near(share, found)
    says = (
        f"A job kept {found['mean']:.2g} processors busy on average; there "
        f"{'is' if share == 1 else 'are'} {share:.2g} for each job{_unless(shown)}."
    )
    marks = [(share, "for each job")] if shown else []

    def named(value: float) -> str:
        return f"{value:.3g} processors"

    return draw(says, _histogram(found, 1, "processors", marks, named, "more"))


def _unless(shown: bool) -> str:
    """What is said of a limit that is not drawn."""
    return "" if shown else ", more than the chart shows"


def _near(value: float, found: Mapping[str, Any]) -> bool:
    """Whether a value may be drawn beside the bars, and leaves them room."""
    histogram = found["histogram"]
    return bool(value <= _NEAR * len(histogram["counts"]) * histogram["width"])


def _histogram(
    found: Mapping[str, Any],
    size: float,
    unit: str,
    rules: Sequence[tuple[float, str]],
    named: Callable[[float], str],
    beyond: str = "longer",
) -> Spec:
    """Bars of a share of jobs; values are divided by `size`, which makes them `unit`."""
    histogram = found["histogram"]
    width, counts = histogram["width"], histogram["counts"]
    total = found["count"]
    bars = [
        {
            "a": i * width / size,
            "b": (i + 1) * width / size,
            "n": count / total,
            "label": (
                f"{named(i * width)} to {named((i + 1) * width)}: {format_percent(count / total)}"
            ),
        }
        for i, count in enumerate(counts)
        if count
    ]
    x = {
        **{"type": "quantitative", "title": unit, "axis": {"tickCount": 6}},
        **{"scale": {"nice": False, "domainMin": 0}},
    }
    axis = {"format": "%", "title": "of the jobs", "tickCount": 4}
    y = {"field": "n", "type": "quantitative", "axis": axis, "scale": {"zero": True}}
    layers: list[Spec] = [
        {
            "data": {"values": bars},
            "mark": {"type": "bar", "color": _DONE, "stroke": _PAPER, "strokeWidth": 0.5},
            "encoding": {
                "x": {"field": "a", **x},
                "x2": {"field": "b"},
                "y": y,
                "y2": {"datum": 0},
                "description": {"field": "label"},
            },
        }
    ]
    for value, label in rules:
        layers += _rule(value, label, x, len(counts) * width / size)
    if histogram["beyond"]:
        layers.append(_beyond(len(counts) * width / size, histogram["beyond"] / total, beyond, x))
    return {"layer": layers}


def _rule(value: float, label: str, x: Spec, end: float) -> list[Spec]:
    """A line across at a value, with its name beside it at the top."""
    data = {"data": {"values": [{"v": value}]}}
    at = {"x": {"field": "v", **x}}
    left = value > end / 2
    text = {"type": "text", "text": label, "align": "right" if left else "left", "y": -6}
    return [
        {**data, "mark": {"type": "rule", "color": _INK, "strokeDash": [3, 3]}, "encoding": at},
        {**data, "mark": {**text, "dx": 3 if left else -3}, "encoding": at},
    ]


def _beyond(end: float, share: float, word: str, x: Spec) -> Spec:
    """How many lie outside of the chart, at its right end."""
    text = f"{format_percent(share)} {word} →"
    mark = {"type": "text", "text": text, "align": "right", "baseline": "bottom", "dy": -4}
    encoding = {"x": {"field": "v", **x}, "y": {"datum": 0}}
    return {
        "data": {"values": [{"v": end}]},
        "mark": {**mark, "color": "var(--soft)"},
        "encoding": encoding,
    }
