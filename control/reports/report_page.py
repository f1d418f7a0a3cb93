"""The report as one HTML file: no network, opens from disk, prints, light and dark.

All that comes from jobs is text that nobody vouches for: Jinja escapes every value, and the page's
policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from control import units
from control.errors import UserError
from control.reports import report_charts, report_summary
from control.reports.report import clean
from control.reports.report_reading import Record, number, text
from control.runs import alike, attempts
from control.words import several

Report = Mapping[str, Any]

_FOLDER = Path(__file__).parent
_TEMPLATE, _STYLE, _SCRIPT = "report_page.html", "report_page.css", "report_page.js"
# A page stays below 5 MB however many jobs failed and whatever they wrote: so many are listed, with
# so many bytes of last lines together and each, as long as so many bytes are not reached in all.
_MOST_ROWS = 5_000
_LINES_BYTES = 2_000_000
_LONGEST_LINES = 1_500
_ROWS_BYTES = 4_000_000
_ROW_BYTES = 350  # of a row's markup


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
        several=several,
        hours=units.hours,
        dollars=units.dollars,
        duration=units.duration,
        share=units.percent,
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
    ordered = [(i, record) for i, group in enumerate(groups) for record in group.records]
    most = min(_LONGEST_LINES, _LINES_BYTES // max(1, min(len(ordered), _MOST_ROWS)))
    rows: list[Failure] = []
    size = 0
    for i, record in ordered[:_MOST_ROWS]:
        row = _row(i, record, most, log_link)
        size += _ROW_BYTES + sum(map(_bytes, (row.name * 2, row.reason, row.facts, row.link)))
        size += _bytes(row.lines)
        if size > _ROWS_BYTES:
            break
        rows.append(row)
    return groups, rows


def _row(group: int, record: Record, most: int, log_link: Callable[[str], str]) -> Failure:
    return Failure(
        name=text(record, "job_name"),
        reason=text(record, "reason"),
        group=group,
        facts=_facts(record),
        lines=_last_lines(record, most),
        has_log=bool(text(record, "log_key")),
        link=log_link(text(record, "log_key")),
    )


def _bytes(value: str) -> int:
    """How long a text is in the page."""
    return len(html.escape(value).encode())


def _facts(one: Record) -> str:
    """The line about a failed job's last attempt."""
    fields = ("submission", "receive", "attempt", "attempts_allowed")
    facts = [attempts.in_words(*(int(number(one, name)) for name in fields), is_given_up=True)]
    if number(one, "seconds"):
        facts.append(f"after {units.duration(number(one, 'seconds'))}")
    if number(one, "peak_memory_mb"):
        facts.append(f"peak memory {units.megabytes(number(one, 'peak_memory_mb'))}")
    where = " ".join(filter(None, (text(one, "machine_type"), text(one, "machine"))))
    return clean(", ".join([*facts, f"on {where}"] if where else facts))


def _last_lines(record: Record, most: int) -> str:
    """The end of the log as far as `most` bytes go: whole lines, or the end of the last one."""
    lines = record.get("last_lines")
    if not isinstance(lines, list):
        return ""
    kept: list[str] = []
    for line in reversed([clean(str(line)[-most:], most) for line in lines]):
        while not kept and _bytes(line) > most:
            line = line[len(line) // 2 + 1 :]
        most -= _bytes(line) + 1
        if most < 0 and kept:
            break
        kept.insert(0, line)
    return "\n".join(kept)
