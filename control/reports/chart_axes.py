"""Axes of charts, and where words stand at them: Vega-Lite encodings."""

from __future__ import annotations

import math
from typing import Any

from control.reports import figures

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
    step = max(1, round(figures.step(top / 4)))
    values = list(range(0, math.ceil(most) + 1, step))
    axis = {"title": title, "values": values, "format": ",d"}
    scale = {"domain": [0, top], "nice": False}
    return {"field": "n", "type": "quantitative", "axis": axis, "scale": scale}


def beside(value: float, others: list[float], most: float) -> int:
    """How far below the end of a line its name stands, in px: above it, so negative, but below
    it if another line ends just above."""
    return 14 if any(0 <= other - value < _TEXT_SHARE * most for other in others) else -8
