"""How long the machines of a run were up, and when: totals, and a series of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from control.monitoring.observed import Machine

# The series begins with bins of a minute. When it has more than so many, each two become one: it
# never takes more than a kilobyte or so of run.json for each kind of machine.
_FIRST_STEP = 60.0
_MOST_BINS = 120


def grown(known: Mapping[str, Any], machines: Iterable[Machine], now: float) -> dict[str, Any]:
    """The machine time after this look at the machines.

    {"until": now, "seconds": {"m5.xlarge us-east-1a": 90}, "begin": ..., "step": 60, "bins":
    {"m5.xlarge us-east-1a": [60, 30]}}: seconds by kind in all, and in bins of `step` seconds from
    `begin` on. A machine counts from its launch; what it ran after the last look at it is left
    out, a minute at the most. Two monitors that look at the same machines count them once.
    """
    until = float(known.get("until", 0.0))
    spans = [(m.kind, max(until, m.launched), now) for m in machines]
    spans = [span for span in spans if span[1] < now]
    if not spans and not known.get("seconds"):
        return dict(known)
    seconds = dict(known.get("seconds", {}))
    for kind, start, end in spans:
        seconds[kind] = seconds.get(kind, 0.0) + end - start
    return {"until": max(until, now), "seconds": seconds, **_binned(known, spans, now)}


def _binned(
    known: Mapping[str, Any], spans: list[tuple[str, float, float]], now: float
) -> dict[str, Any]:
    step = float(known.get("step", _FIRST_STEP))
    bins = {kind: list(some) for kind, some in known.get("bins", {}).items()}
    begin = known.get("begin")
    if begin is None:
        if not spans:
            return {}
        begin = round(min(start for _, start, _ in spans), 1)
    while now - begin > step * _MOST_BINS:
        step *= 2
        bins = {kind: _halved(some) for kind, some in bins.items()}
    for kind, start, end in spans:
        mine = bins.setdefault(kind, [])
        for number, part in _parts(max(0.0, start - begin), end - begin, step):
            mine.extend([0.0] * (number + 1 - len(mine)))
            mine[number] = round(mine[number] + part, 1)
    return {"begin": begin, "step": step, "bins": bins}


def _halved(some: list[float]) -> list[float]:
    return [round(sum(some[i : i + 2]), 1) for i in range(0, len(some), 2)]


def _parts(start: float, end: float, step: float) -> Iterator[tuple[int, float]]:
    """What of a span falls into which bin."""
    number = int(start // step)
    while start < end:
        border = min(end, (number + 1) * step)
        yield number, border - start
        start, number = border, number + 1


def hours(known: Mapping[str, Any]) -> float:
    """Machine-hours in all."""
    seconds: Mapping[str, float] = known.get("seconds", {})
    return sum(seconds.values()) / 3600


def up(known: Mapping[str, Any]) -> list[tuple[float, float]]:
    """(since when, how many machines were up on average until the next), over the whole run."""
    bins: Mapping[str, list[float]] = known.get("bins", {})
    begin, step = known.get("begin", 0.0), known.get("step", _FIRST_STEP)
    found = []
    for number in range(max((len(some) for some in bins.values()), default=0)):
        since = begin + number * step
        # The last bin is not over yet.
        length = min(step, known["until"] - since)
        total = sum(some[number] for some in bins.values() if number < len(some))
        if length > 0:
            found.append((since, total / length))
    return found
