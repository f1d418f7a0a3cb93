"""Numbers, quantities and names as people read them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

_HALF_A_CENT = 0.005


def several(number: int, noun: str) -> str:
    """Return '1 machine', '2,000 machines'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_duration(seconds: float) -> str:
    """Return '0.4 s', '45 s', '4.1 min', '1.5 h', '3.2 days'."""
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{_figures(seconds / size)} {unit}"
    return f"{_figures(seconds / 86_400)} days"


def format_minute(time: str) -> str:
    """Return '2026-01-31 12:30 UTC' for a time in records, '2026-01-31T12:30:59Z'."""
    return f"{time[:16].replace('T', ' ')} UTC"


def format_hours(amount: float) -> str:
    """Return a number of machine-hours: '0', '0.0067', '0.35', '4.0', '1,234.5'.

    Less than one hour has two figures, so that little does not look like nothing.
    """
    if amount >= 0.995 or amount == 0:
        return f"{amount:,.1f}" if amount else "0"
    return f"{amount:.2g}" if amount >= 0.0001 else "under 0.0001"


def format_megabytes(mb: float) -> str:
    """Return '640 MB', '1.9 GB', '2.3 TB'."""
    for limit, size, unit in ((1000, 1, "MB"), (1e6, 1000, "GB")):
        if mb < limit:
            return f"{_figures(mb / size)} {unit}"
    return f"{_figures(mb / 1e6)} TB"


def format_dollars(amount: float) -> str:
    """Return '$0.07', '$12.40', '$1,234'."""
    if 0 < amount < _HALF_A_CENT:
        return "under $0.01"
    return f"${amount:,.2f}" if amount < 1000 else f"${amount:,.0f}"


def about_dollars(amount: float) -> str:
    """Return 'about $0.07', 'about $1,234', and 'under $0.01' for less than a cent."""
    shown = format_dollars(amount)
    return shown if 0 < amount < _HALF_A_CENT else f"about {shown}"


def format_percent(share: float) -> str:
    """Return '0 %', '0.2 %', '8 %', '100 %'; only 0 itself is '0 %', and only all is '100 %'."""
    figure = 100 * share
    if 0 < figure < 1:
        return f"{figure:.1f} %" if figure >= 0.05 else "under 0.1 %"
    if 99 < figure < 100:
        return f"{figure:.1f} %" if figure < 99.95 else "over 99.9 %"
    return f"{figure:.0f} %"


def _figures(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2g}"


def word_like(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like this one, if any is; ignore case."""
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.8)
    return by_lower[close[0]] if close else None


def files_in(folder: Path, ending: str) -> str:
    """Return the first files of a folder with this ending, up to three; "" if none has it."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(ending))
    return ", ".join(map(str, found[:3]))


def file_like(path: Path) -> str | None:
    """Return 'Did you mean ...?' for a file that does not exist.

    None unless a file next to it, or in files/ there, has a similar name.
    """
    for folder in (path.parent, path.parent / "files"):
        try:
            names = [one.name for one in folder.iterdir() if one.suffix == path.suffix]
        except OSError:
            continue
        close = word_like(path.name, names)
        if close:
            return f"Did you mean {folder / close}?"
    return None
