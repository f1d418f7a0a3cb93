"""The few figures and sentences at the top of a report, and in the place of charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from control import units
from control.reports import report_charts
from control.services import records
from control.words import several

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
    share = units.percent(finished / submitted) if submitted else "no job yet"
    yield (
        "Done",
        f"{report['done']:,}",
        share if not report["skipped"] else (f"and {report['skipped']:,} skipped: {share}"),
    )
    yield "Failed", f"{report['failed']:,}", _retries(report)
    yield "Time", _elapsed(report), f"since {units.minute(report['began'])}"
    machines = report["machines"]
    yield (
        "Machine-hours",
        units.hours(machines["hours"]),
        f"{units.percent(machines['busy_share'])} busy with jobs" if machines["hours"] else "",
    )
    yield "Cost", *_cost_tile(report["cost"])


def _retries(report: Report) -> str:
    attempts = report["attempts"]
    interrupted = attempts["interrupted"]
    parts = [f"{several(attempts['failed'], 'attempt')} failed"] if attempts["failed"] else []
    parts += [f"{interrupted:,} interrupted"] if interrupted else []
    return ", ".join(parts) or "no attempt failed"


def _elapsed(report: Report) -> str:
    end = records.seconds(report["ended"] or report["made"])
    return units.duration(max(0.0, end - records.seconds(report["began"])))


def _cost_tile(cost: Mapping[str, Any]) -> tuple[str, str]:
    if not cost["charged"]:
        return "$0", "on this computer"
    if cost["machines"] is None:
        return "not known", "EC2 tells no price" if cost["machine_hours"] else "no machine yet"
    return units.dollars(cost["machines"] + cost["beside_once"]), "about, all included"


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


def per_job(report: Report) -> Iterator[tuple[str, report_charts.Chart | None, str]]:
    """(title, chart, what is said in its place) of what jobs needed."""
    one = {name: (report["jobs"][name] or {}).get("most") for name in ("seconds", "memory_mb")}
    cores = (report["jobs"]["cores"] or {}).get("most")
    none = "No job is done."
    yield (
        "How long jobs took",
        report_charts.durations(report),
        none if one["seconds"] is None else f"The only one took {units.duration(one['seconds'])}.",
    )
    yield (
        "Memory",
        report_charts.memory(report),
        none if not one["memory_mb"] else f"It peaked at {units.megabytes(one['memory_mb'])}.",
    )
    yield (
        "Processors",
        report_charts.cores(report),
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
    return [(what, units.duration(time), time / (done + lost)) for what, time in shares]


def sampled(report: Report) -> str:
    """What the figures of jobs are made from."""
    read, done = report["read"]["done"], report["done"]
    if not done:
        return ""
    if read < done:
        return f"From {read:,} of {done:,} done jobs, chosen at random."
    return f"From all {several(done, 'done job')}." if done > 1 else ""
