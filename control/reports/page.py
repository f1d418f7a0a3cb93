"""The report page: one self-contained HTML file."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from control.model import STATES, seconds
from control.records import attempts, failure_groups
from control.records.job_objects import log_file
from control.reports import charts
from control.reports.advice import FEWEST_JOBS
from control.reports.charts import Chart
from control.reports.collect import Record, number, text
from control.reports.figures import clean
from control.reports.report_model import Cost, Report
from control.text import (
    format_dollars,
    format_duration,
    format_hours,
    format_megabytes,
    format_minute,
    format_percent,
    several,
)


def state(report: Report) -> str:
    """Return the first sentence: where the run stands."""
    jobs, left = several(report.submitted, "job"), report.unfinished
    if not report.submitted:
        return "No job has been submitted."
    if report.ended and left:
        return f"The run has ended; {_part(left, report.submitted)} no record."
    if report.ended:
        return f"The run has ended: {_outcome(report)}."
    if report.end_reason:
        return f"Its machines were ended: {report.end_reason}."
    if not left:
        ended = "Its only job has" if report.submitted == 1 else f"All {jobs} have"
        return f"{ended} ended; the run is about to end."
    return f"In progress: {_part(left, report.submitted)} not ended yet."


def _part(left: int, submitted: int) -> str:
    """Return 'its only job has', '1 of 5 jobs has', '3 of 5 jobs have'."""
    if submitted == 1:
        return "its only job has"
    return f"{left:,} of {submitted:,} jobs {'has' if left == 1 else 'have'}"


def _outcome(report: Report) -> str:
    failed, submitted = report.failed, report.submitted
    if submitted == 1 and not report.cancelled:
        return "its only job failed" if failed else "its only job is done"
    if failed == submitted:
        return f"all {submitted:,} jobs failed"
    cancelled = f", and {report.cancelled:,} were cancelled" if report.cancelled else ""
    if failed:
        return f"{failed:,} of {submitted:,} jobs failed{cancelled}"
    return f"no job of {submitted:,} failed{cancelled}"


def tiles(report: Report) -> Iterator[tuple[str, str, str]]:
    """Yield (label, figure, note) of the few figures that people want first."""
    share = "no job yet"
    if report.submitted:
        share = format_percent((report.done + report.skipped) / report.submitted)
    note = f"and {report.skipped:,} skipped: {share}" if report.skipped else share
    yield "Done", f"{report.done:,}", note
    yield "Failed", f"{report.failed:,}", _retries(report)
    yield "Time", _elapsed(report), f"since {format_minute(report.began)}"
    hours = report.machines.hours
    busy = f"{format_percent(report.machines.busy_share)} busy with jobs" if hours else ""
    if 0 < hours < charts.FEW_HOURS:
        yield "Machine time", format_duration(hours * 3600), busy
    else:
        yield "Machine-hours", format_hours(hours), busy
    yield "Cost", *(("$0", "on this computer") if report.local else _cost_tile(report.cost))


def _retries(report: Report) -> str:
    lost = report.attempts
    parts = [f"{several(lost.failed, 'attempt')} failed"] if lost.failed else []
    parts += [f"{lost.interrupted:,} interrupted"] if lost.interrupted else []
    return ", ".join(parts) or "no attempt failed"


def _elapsed(report: Report) -> str:
    end = seconds(report.ended or report.made)
    return format_duration(max(0.0, end - seconds(report.began)))


def _cost_tile(cost: Cost) -> tuple[str, str]:
    if cost.machines is None:
        return "not known", "EC2 lists no price" if cost.machine_hours else "no machine yet"
    return format_dollars(cost.machines + cost.others_once), "about, all included"


def parts(report: Report) -> Iterator[tuple[str, int, str]]:
    """Yield (state, jobs, width in percent) for the bar of all jobs."""
    total = max(1, report.submitted)
    for name in (*STATES, "unfinished"):
        count = getattr(report, name)
        if count:
            # One job in a million can still be seen.
            yield name, count, f"{max(0.4, 100 * count / total):.2f}"


def no_progress(report: Report) -> str:
    """Return the sentence in place of the chart of jobs over time."""
    if not report.progress:
        return "No job has ended yet."
    return f"1 job ended, at {format_minute(report.progress.begin)}."


def per_job(report: Report) -> Iterator[tuple[str, Chart | None, str]]:
    """Yield (title, chart, text in its place) of what jobs needed."""
    jobs = report.jobs
    only = ("No job is done.",) * 3
    if jobs:
        only = (
            f"The only one took {format_duration(jobs.seconds.most)}.",
            f"It peaked at {format_megabytes(jobs.memory_mb.most)}.",
            f"It kept {jobs.cores.most:.2g} processors busy on average.",
        )
    yield "How long jobs took", charts.durations(report), only[0]
    yield "Memory", charts.memory(report), only[1]
    yield "Processors", charts.cores(report), only[2]


def spent(report: Report) -> list[tuple[str, str, float]]:
    """Return (what, time, share) of all time that jobs took, failed attempts included."""
    jobs, lost = report.jobs, report.attempts.seconds
    done = jobs.seconds.mean * report.done if jobs else 0.0
    down, up = (jobs.download_share, jobs.upload_share) if jobs else (0.0, 0.0)
    times = {
        "The program": done * max(0.0, 1 - down - up),
        "Downloads": done * down,
        "Uploads": done * up,
        "Attempts that failed or were interrupted": lost,
    }
    if not done + lost:
        return []
    return [(what, format_duration(time), time / (done + lost)) for what, time in times.items()]


def sampled(report: Report) -> str:
    """Return the sentence on how many records the figures are from."""
    read, done = report.read.done, report.done
    if read < done:
        return f"From {read:,} of {done:,} done jobs, chosen at random."
    return f"From all {several(done, 'done job')}." if done > 1 else ""


def no_advice(report: Report) -> str:
    """Return the sentence in place of advice."""
    if report.local:
        return "A run on this computer says little about machines of AWS."
    if report.read.done < FEWEST_JOBS:
        return "Too few jobs are done to say what to change."
    return "Nothing stands out: the settings fit these jobs."


_FOLDER = Path(__file__).parent
_TEMPLATE, _STYLE, _SCRIPT = "page.html", "page.css", "page.js"
# A page stays below 5 MB however many jobs failed and whatever they wrote: these limit the rows,
# their last lines (of all and of each, in bytes), and all rows in bytes.
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
    """Return the page.

    `failed` are the failed records that were read; `log_link` makes the address of a log from the
    key of the object that holds it, "" if a browser cannot reach it; without `commands` the page
    names none to type.
    """
    import jinja2  # only here: other verbs start faster without it

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
        no_advice=no_advice(report),
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
        settings=sorted(report.config.container_values().items()),
    )


def console_link(region: str, bucket: str) -> Callable[[str], str]:
    """Return what makes the address of an object in the console of S3 from its key."""
    where = f"https://{region}.console.aws.amazon.com/s3/object/{quote(bucket)}?region={region}"
    return lambda key: f"{where}&prefix={quote(key, safe='')}" if key else ""


def no_link(key: str) -> str:
    """Return no address, for logs that no browser can reach."""
    return ""


def relative_link(prefix: str) -> Callable[[str], str]:
    """Return what makes the address of a log that is a file in a folder next to the page."""
    return lambda key: quote(log_file(key).removeprefix(prefix)) if key.startswith(prefix) else ""


def _hash(script: str) -> str:
    """Return a script's hash as a content security policy has it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _failures(
    failed: Sequence[Record], log_link: Callable[[str], str]
) -> tuple[list[failure_groups.Group], list[Failure]]:
    """Return the reasons, most frequent first, and the jobs in their order."""
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
    """Return the length of a text in the page."""
    return len(html.escape(value).encode())


def _facts(one: Record) -> str:
    """Return the line about a failed job's last attempt."""
    fields = ("submission", "receive", "attempt", "attempts_allowed")
    facts = [attempts.in_words(*(int(number(one, name)) for name in fields), for_good=True)]
    if number(one, "seconds"):
        facts.append(f"after {format_duration(number(one, 'seconds'))}")
    if number(one, "peak_memory_mb"):
        facts.append(f"peak memory {format_megabytes(number(one, 'peak_memory_mb'))}")
    where = " ".join(filter(None, (text(one, "machine_type"), text(one, "machine"))))
    return clean(", ".join([*facts, f"on {where}"] if where else facts))


def _last_lines(record: Record, most: int) -> str:
    """Return the end of the log within `most` bytes: whole lines, or the end of the last one."""
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
