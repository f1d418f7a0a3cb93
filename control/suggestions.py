"""What somebody who misspelt a name probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


def word_like(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, if any is; capitals make no difference."""
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.8)
    return by_lower[close[0]] if close else None


def files_in(folder: Path, ending: str) -> str:
    """The first files of a folder with this ending, up to three; "" if there are none."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(ending))
    return ", ".join(map(str, found[:3]))


def file_like(path: Path) -> str | None:
    """'Did you mean ...?' for a file that does not exist, if one beside it, or in files/ there,
    has a like name."""
    for folder in (path.parent, path.parent / "files"):
        try:
            names = [one.name for one in folder.iterdir() if one.suffix == path.suffix]
        except OSError:
            continue
        close = word_like(path.name, names)
        if close:
            return f"Did you mean {folder / close}?"
    return None
