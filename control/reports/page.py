"""The report page: one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from control.errors import UserError
from control.model import seconds
from control.records import attempts, failure_groups
from control.records.job_objects import log_file
from control.reports import charts
from control.reports.collect import Record, number, text
from control.reports.data import clean
from control.text import (
    format_dollars,
    format_duration,
    format_hours,
    format_megabytes,
    format_minute,
    format_percent,
    several,
)

Report = Mapping[str, Any]


def state(report: Report) -> str:
    """The first sentence: where the run stands."""
    jobs, left = several(report["submitted"], "job"), report["unfinished"]
    if not report["submitted"]:
        return "No job has been submitted."
    if report["ended"] and left:
        return f"The run has ended; {_part(left, report['submitted'])} no record."
    if report["ended"]:
        return f"The run has ended: {_outcome(report['failed'], report['submitted'])}."
    if report["end_reason"]:
        return f"Its machines were ended: {report['end_reason']}."
    if not left:
        ended = "Its only job has" if report["submitted"] == 1 else f"All {jobs} have"
        return f"{ended} ended; the run is about to end."
    return f"Under way: {_part(left, report['submitted'])} not ended yet."


def _part(left: int, submitted: int) -> str:
    """'its only job has', '1 of 5 jobs has', '3 of 5 jobs have'."""
    if submitted == 1:
        return "its only job has"
    return f"{left:,} of {submitted:,} jobs {'has' if left == 1 else 'have'}"


def _outcome(failed: int, submitted: int) -> str:
    if submitted == 1:
        return "its only job failed" if failed else "its only job is done"
    if failed == submitted:
        return f"all {submitted:,} jobs failed"
    return (
        f"{failed:,} of {submitted:,} jobs failed" if failed else f"no job of {submitted:,} failed"
    )


def tiles(report: Report) -> Iterator[tuple[str, str, str]]:
    """(what, figure, beside it), the few figures that are asked for first."""
    submitted = report["submitted"]
    finished = report["done"] + report["skipped"]
    share = format_percent(finished / submitted) if submitted else "no job yet"
    yield (
        "Done",
        f"{report['done']:,}",
        share if not report["skipped"] else (f"and {report['skipped']:,} skipped: {share}"),
    )
    yield "Failed", f"{report['failed']:,}", _retries(report)
    yield "Time", _elapsed(report), f"since {format_minute(report['began'])}"
    machines = report["machines"]
    yield (
        "Machine-hours",
        format_hours(machines["hours"]),
        f"{format_percent(machines['busy_share'])} busy with jobs" if machines["hours"] else "",
    )
    yield "Cost", *_cost_tile(report["cost"])


def _retries(report: Report) -> str:
    attempts = report["attempts"]
    interrupted = attempts["interrupted"]
    parts = [f"{several(attempts['failed'], 'attempt')} failed"] if attempts["failed"] else []
    parts += [f"{interrupted:,} interrupted"] if interrupted else []
    return ", ".join(parts) or "no attempt failed"


def _elapsed(report: Report) -> str:
    end = seconds(report["ended"] or report["made"])
    return format_duration(max(0.0, end - seconds(report["began"])))


def _cost_tile(cost: Mapping[str, Any]) -> tuple[str, str]:
    if not cost["charged"]:
        return "$0", "on this computer"
    if cost["machines"] is None:
        return "not known", "EC2 tells no price" if cost["machine_hours"] else "no machine yet"
    return format_dollars(cost["machines"] + cost["beside_once"]), "about, all included"


def parts(report: Report) -> Iterator[tuple[str, int, str]]:
    """(state, jobs, width in percent) for the bar of all jobs."""
    total = max(1, report["submitted"])
    for name in ("done", "skipped", "failed", "unfinished"):
        count = report[name]
        if count:
            # What is there is seen, were it one job in a million.
            yield name, count, f"{max(0.4, 100 * count / total):.2f}"


def no_progress(report: Report) -> str:
    """In place of the chart of jobs over time."""
    ended = report["done"] + report["skipped"] + report["failed"]
    if not ended:
        return "No job has ended yet."
    when = report["progress"]["begin"][:16].replace("T", " ")
    return f"{several(ended, 'job')} ended, at {when}."


def per_job(report: Report) -> Iterator[tuple[str, charts.Chart | None, str]]:
    """(title, chart, what is said in its place) of what jobs needed."""
    one = {name: (report["jobs"][name] or {}).get("most") for name in ("seconds", "memory_mb")}
    cores = (report["jobs"]["cores"] or {}).get("most")
    none = "No job is done."
    yield (
        "How long jobs took",
        charts.durations(report),
        none if one["seconds"] is None else f"The only one took {format_duration(one['seconds'])}.",
    )
    yield (
        "Memory",
        charts.memory(report),
        none if not one["memory_mb"] else f"It peaked at {format_megabytes(one['memory_mb'])}.",
    )
    yield (
        "Processors",
        charts.cores(report),
        none if cores is None else f"It kept {cores:.2g} processors busy on average.",
    )


def spent(report: Report) -> list[tuple[str, str, float]]:
    """(what, how long in all, share) of the time that jobs took, in attempts that failed, too."""
    jobs = report["jobs"]
    done = (jobs["seconds"] or {}).get("mean", 0.0) * report["done"]
    lost = report["attempts"]["seconds"]
    down, up = jobs["download_share"], jobs["upload_share"]
    shares = (
        ("The program", done * max(0.0, 1 - down - up)),
        ("Downloads", done * down),
        ("Uploads", done * up),
        ("Attempts that failed or were interrupted", lost),
    )
    if not done + lost:
        return []
    return [(what, format_duration(time), time / (done + lost)) for what, time in shares]


def sampled(report: Report) -> str:
    """What the figures of jobs are made from."""
    read, done = report["read"]["done"], report["done"]
    if not done:
        return ""
    if read < done:
        return f"From {read:,} of {done:,} done jobs, chosen at random."
    return f"From all {several(done, 'done job')}." if done > 1 else ""


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


def render_page(
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
        hours=format_hours,
        dollars=format_dollars,
        duration=format_duration,
        share=format_percent,
    )
    script = (_FOLDER / _SCRIPT).read_text(encoding="utf-8")
    reasons, rows = _failures(failed, log_link)
    return environment.get_template(_TEMPLATE).render(
        report=report,
        style=(_FOLDER / _STYLE).read_text(encoding="utf-8"),
        script=script,
        script_hash=_hash(script),
        state=state(report),
        tiles=list(tiles(report)),
        parts=list(parts(report)),
        over_time=[
            ("Jobs", charts.progress(report), no_progress(report)),
            ("Machines", charts.machines(report), "The monitor has seen no machine."),
        ],
        per_job=list(per_job(report)),
        sampled=sampled(report),
        spent=spent(report),
        reasons=reasons,
        rows=rows,
        commands=commands,
        settings=sorted(report["settings"].items()),
    )


def console_link(region: str, bucket: str) -> Callable[[str], str]:
    """Make the address of a log in the console of S3 from its key; "" inside a record."""
    where = f"https://{region}.console.aws.amazon.com/s3/object/{quote(bucket)}?region={region}"
    return lambda key: f"{where}&prefix={quote(key, safe='')}" if key.endswith(".txt") else ""


def no_link(key: str) -> str:
    """For logs that no browser can reach."""
    return ""


def relative_link(prefix: str) -> Callable[[str], str]:
    """Make the address of a log that is a file in a folder next to the page's own file."""
    return lambda key: quote(log_file(key).removeprefix(prefix)) if key.startswith(prefix) else ""


def _hash(script: str) -> str:
    """As a content security policy names a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _failures(
    failed: Sequence[Record], log_link: Callable[[str], str]
) -> tuple[list[failure_groups.Group], list[Failure]]:
    """The reasons, most frequent first, and the jobs in their order."""
    groups = failure_groups.groups(
        {**record, **{name: clean(text(record, name)) for name in ("cause", "reason", "job_name")}}
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
    facts = [attempts.in_words(*(int(number(one, name)) for name in fields), for_good=True)]
    if number(one, "seconds"):
        facts.append(f"after {format_duration(number(one, 'seconds'))}")
    if number(one, "peak_memory_mb"):
        facts.append(f"peak memory {format_megabytes(number(one, 'peak_memory_mb'))}")
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
