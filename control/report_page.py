"""The report as one HTML file: no network, opens from disk, prints, light and dark.

All that comes from jobs is text that nobody vouches for: Jinja escapes every value, and the page's
policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from control import alike, report_charts, report_summary, units
from control.errors import UserError
from control.report import clean
from control.report_reading import Record, number, text
from control.words import several

Report = Mapping[str, Any]

_FOLDER = Path(__file__).parent
_TEMPLATE, _STYLE, _SCRIPT = "report_page.html", "report_page.css", "report_page.js"
# Of failed jobs so many are listed, and of their last lines so much in all: a page stays below
# 5 MB however many jobs failed.
_MOST_ROWS = 5_000
_LINES_BYTES = 2_000_000
_LONGEST_LINES = 1_500


@dataclass(frozen=True)
class Failure:
    """A failed job as the page shows it; `group` is the number of its reason."""

    name: str
    reason: str
    group: int
    facts: str
    lines: str
    has_log: bool
    link: str


def render(
    report: Report,
    failed: Sequence[Record],
    log_link: Callable[[str], str],
    *,
    commands: bool = True,
) -> str:
    """The page. `failed` are the failed records that were read; `log_link` makes the address of a
    log from its key; `commands` that can still be typed are shown. Raises UserError if a package
    is missing."""
    try:
        import jinja2
    except ImportError as error:
        raise UserError(
            f"The report needs a package that is not installed ({error.name}).",
            "Run: python -m pip install -r files/requirements.txt",
        ) from None
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(_FOLDER),
    )
    environment.filters.update(
        several=several, dollars=units.dollars, duration=units.duration, share=units.percent
    )
    script = (_FOLDER / _SCRIPT).read_text(encoding="utf-8")
    reasons, rows = _failures(failed, log_link)
    return environment.get_template(_TEMPLATE).render(
        report=report,
        style=(_FOLDER / _STYLE).read_text(encoding="utf-8"),
        script=script,
        script_hash=_hash(script),
        state=report_summary.state(report),
        tiles=list(report_summary.tiles(report)),
        parts=list(report_summary.parts(report)),
        over_time=[
            ("Jobs", report_charts.progress(report), report_summary.no_progress(report)),
            ("Machines", report_charts.machines(report), "The monitor has seen no machine."),
        ],
        per_job=list(report_summary.per_job(report)),
        sampled=report_summary.sampled(report),
        spent=report_summary.spent(report),
        reasons=reasons,
        rows=rows,
        commands=commands,
        settings=sorted(report["settings"].items()),
    )


def console_link(region: str, bucket: str) -> Callable[[str], str]:
    """Makes the address of an object in the console of S3 from its key."""
    where = f"https://{region}.console.aws.amazon.com/s3/object/{quote(bucket)}?region={region}"
    return lambda key: f"{where}&prefix={quote(key, safe='')}" if key else ""


def no_link(key: str) -> str:
    """For logs that no browser can reach."""
    return ""


def relative_link(prefix: str) -> Callable[[str], str]:
    """Makes the address of a log that lies in a folder beside the page's own file."""
    return lambda key: quote(key.removeprefix(prefix)) if key.startswith(prefix) else ""


def _hash(script: str) -> str:
    """As a content security policy names a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _failures(
    failed: Sequence[Record], log_link: Callable[[str], str]
) -> tuple[list[alike.Group], list[Failure]]:
    """The reasons, most frequent first, and the jobs in their order."""
    groups = alike.groups(
        {**record, **{name: clean(text(record, name)) for name in ("reason", "job_name")}}
        for record in failed
    )
    shown = [(i, record) for i, group in enumerate(groups) for record in group.records]
    shown = shown[:_MOST_ROWS]
    most = min(_LONGEST_LINES, _LINES_BYTES // max(1, len(shown)))
    rows = [
        Failure(
            name=record["job_name"],
            reason=record["reason"],
            group=i,
            facts=_facts(record),
            lines=_last_lines(record, most),
            has_log=bool(text(record, "log_key")),
            link=log_link(text(record, "log_key")),
        )
        for i, record in shown
    ]
    return groups, rows


def _facts(one: Record) -> str:
    """The line about a failed job's last attempt."""
    facts = [f"attempt {number(one, 'attempt'):.0f} of {number(one, 'attempts_allowed'):.0f}"]
    if number(one, "seconds"):
        facts.append(f"after {units.duration(number(one, 'seconds'))}")
    if number(one, "peak_memory_mb"):
        facts.append(f"peak memory {units.megabytes(number(one, 'peak_memory_mb'))}")
    where = " ".join(filter(None, (text(one, "machine_type"), text(one, "machine"))))
    return clean(", ".join([*facts, f"on {where}"] if where else facts))


def _last_lines(record: Record, most: int) -> str:
    """The end of the log as far as `most` characters go, in whole lines where there are some."""
    lines = record.get("last_lines")
    if not isinstance(lines, list):
        return ""
    kept: list[str] = []
    for line in reversed([clean(str(line), most) for line in lines]):
        most -= len(line) + 1
        if most < 0 and kept:
            break
        kept.insert(0, line)
    return "\n".join(kept)
