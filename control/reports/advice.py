"""Advice from the figures of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from control.config import LONGEST_JOB_SECONDS
from control.text import format_duration, format_megabytes, format_percent, several

Report = Mapping[str, Any]

Settings = Mapping[str, Any]

# Fewer jobs say little of the next ones.
FEWEST_JOBS = 5

# Of MEMORY so much is planned with: a job of the next run may need more than any of this one.
_MEMORY_USED = 0.9

# Jobs at once may need this many times the cores that there are, as they wait at times.
_CORES_USED = 1.1

# Of jobs shorter than this, in seconds, starting and storing is too much to plan with the rest.
_SHORT = 10

# One step at a time: with many more jobs at once something else may become scarce.
_MOST_TIMES = 4

_ROUND_TIMES = (60, 120, 300, 600, 900, 1200, 1800, 3600, 5400)


@dataclass(frozen=True)
class Advice:
    """One thing to change. `settings` as they stand in config.py; `saving` is the share of the
    cost of machines that it saves, 0 if it saves none or one cannot tell."""

    text: str
    settings: str = ""
    saving: float = 0.0


def advise(report: Report, settings: Settings) -> list[Advice]:
    """All that is worth saying, what saves most first."""
    found = [one for rule in RULES if (one := rule(report, settings)) is not None]
    return sorted(found, key=lambda one: -one.saving)


def out_of_memory(report: Report, settings: Settings) -> Advice | None:
    killed = sum(group["jobs"] for group in report["failures"] if _is_memory(group["reason"]))
    if not killed:
        return None
    cores = int(settings["DOCKER_CORES"])
    fewer = f"DOCKER_CORES = {max(1, cores // 2)}" if cores > 1 else ""
    return Advice(
        f"{several(killed, 'job')} failed for want of memory: {format_megabytes(settings['MEMORY'])} are "
        f"shared by {several(cores, 'job')} at once. "
        + ("Run fewer at once, or give" if fewer else "Give")
        + " more MEMORY on machines that have it.",
        fewer or f"MEMORY = {2 * int(settings['MEMORY'])}",
    )


def _is_memory(reason: str) -> bool:
    return "out of memory" in reason.lower() or "no memory left" in reason


def more_at_once(report: Report, settings: Settings) -> Advice | None:
    """More jobs on each machine, if memory and processors have room for them."""
    memory, cores = report["jobs"]["memory_mb"], report["jobs"]["cores"]
    if _few(report) or out_of_memory(report, settings) or _short(report):
        return None
    now = int(settings["DOCKER_CORES"])
    peak = max(memory["most"], 1.0)
    fit = int(settings["MEMORY"] * _MEMORY_USED // peak)
    by_cores = int(_container_cores(settings) * _CORES_USED // max(cores["mean"], 0.01))
    wanted = min(fit, by_cores, _MOST_TIMES * now)
    if wanted < now * 1.25:
        return None
    saving = 1 - now / wanted
    return Advice(
        f"Jobs peaked at {format_megabytes(peak)} of {format_megabytes(settings['MEMORY'])}: {wanted} at once "
        f"would fit instead of {now}, cutting the cost of machines by about {_about(saving)}.",
        f"DOCKER_CORES = {wanted}",
        saving,
    )


def idle_processors(report: Report, settings: Settings) -> Advice | None:
    """Processors wait because memory is full."""
    memory, cores = report["jobs"]["memory_mb"], report["jobs"]["cores"]
    if _few(report) or more_at_once(report, settings):
        return None
    now = int(settings["DOCKER_CORES"])
    used = cores["mean"] * now / _container_cores(settings)
    full = memory["most"] * now >= 0.7 * settings["MEMORY"]
    if used >= 0.5 or not full:
        return None
    return Advice(
        f"The processors were {format_percent(used)} busy while jobs at work, and memory has no room for "
        "more jobs at once: machine types with more memory a core (r instead of m or c) do the "
        "same for less."
    )


def spare_memory(report: Report, settings: Settings) -> Advice | None:
    """Memory is paid for that no job needs, and the processors are full."""
    memory, cores = report["jobs"]["memory_mb"], report["jobs"]["cores"]
    if _few(report) or more_at_once(report, settings) or out_of_memory(report, settings):
        return None
    now = int(settings["DOCKER_CORES"])
    used = memory["most"] * now / settings["MEMORY"]
    busy = cores["mean"] * now / _container_cores(settings)
    much = settings["MEMORY"] / _container_cores(settings) > 2500
    if used > 0.4 or busy < 0.6 or not much:
        return None
    return Advice(
        f"Jobs used the processors, and at most {format_percent(used)} of MEMORY: machine types with less "
        "memory a core (c instead of m or r) mostly cost less.",
        f"MEMORY = {_round_up(memory['most'] * now * 1.3, 500)}",
    )


def timeout(report: Report, settings: Settings) -> Advice | None:
    """JOB_TIMEOUT against the longest job that ended by itself."""
    late = sum(g["jobs"] for g in report["failures"] if "longer than JOB_TIMEOUT" in g["reason"])
    limit = int(settings["JOB_TIMEOUT"])
    longest = 0.0 if _few(report) else report["jobs"]["seconds"]["most"]
    wanted = _round_time(3 * longest)
    shorter = bool(longest) and wanted <= limit / 2
    if late and not shorter and limit < LONGEST_JOB_SECONDS:
        return Advice(
            f"{several(late, 'job')} took longer than JOB_TIMEOUT ({format_duration(limit)}). If they did "
            "not hang, give them more time.",
            f"JOB_TIMEOUT = {min(2 * limit, LONGEST_JOB_SECONDS)}",
        )
    if not shorter:
        return None
    hung = f"{several(late, 'job')} reached it. " if late else ""
    return Advice(
        f"JOB_TIMEOUT is {format_duration(limit)}, and no job that was done took more than "
        f"{format_duration(longest)}. {hung}{format_duration(wanted)[0].upper()}{format_duration(wanted)[1:]} would end "
        "jobs that hang sooner.",
        f"JOB_TIMEOUT = {wanted}",
    )


def transfers(report: Report, settings: Settings) -> Advice | None:
    down, up = report["jobs"]["download_share"], report["jobs"]["upload_share"]
    if _few(report) or down + up < 0.05:
        return None
    much = (
        " More jobs at once keep the processors busy meanwhile; put the bucket and the machines "
        "into one region."
        if down + up >= 0.25
        else ""
    )
    return Advice(
        f"{format_percent(down)} of the jobs' time was downloads, {format_percent(up)} uploads.{much}"
    )


def interruptions(report: Report, settings: Settings) -> Advice | None:
    count = report["attempts"]["interrupted"]
    receives = report["done"] + report["attempts"]["failed"] + count
    if count < 3 or count < 0.05 * receives:
        return None
    types = settings["MACHINE_TYPE"]
    types = [types] if isinstance(types, str) else types
    text = f"{several(count, 'attempt')} of {receives:,} were interrupted by AWS or by scale-in. "
    if settings["MACHINE_PRICE"] is not None:
        return Advice(
            f"{text}A limit of price makes that more frequent: without it you pay the market "
            "price, never more than the on-demand one.",
            "MACHINE_PRICE = None",
        )
    if len(types) < 6:
        return Advice(f"{text}More machine types let AWS choose those that it takes back least.")
    return Advice(f"{text}Shorter jobs lose less when that happens.")


def failed_attempts(report: Report, settings: Settings) -> Advice | None:
    seconds = report["attempts"]["seconds"]
    mean = (report["jobs"]["seconds"] or {}).get("mean", 0.0)
    everything = seconds + mean * report["done"]
    if report["attempts"]["failed"] < 3 or not everything or seconds < 0.1 * everything:
        return None
    return Advice(
        f"{format_percent(seconds / everything)} of the jobs' time went into attempts that failed or were "
        "interrupted. What always fails need not be tried again: mend it, or lower JOB_RETRIES "
        f"({settings['JOB_RETRIES']})."
    )


def idle_machines(report: Report, settings: Settings) -> Advice | None:
    machines = report["machines"]
    if _few(report) or machines["hours"] < 0.5 or machines["busy_share"] >= 0.6:
        return None
    return Advice(
        f"Of the places for jobs on the machines {format_percent(machines['busy_share'])} were taken on "
        "average. Fewer machines would be full for longer; what each loses at its start and end "
        "counts less in longer runs."
    )


def short_jobs(report: Report, settings: Settings) -> Advice | None:
    if _few(report) or not _short(report) or report["done"] < 1000:
        return None
    return Advice(
        f"Half of the jobs took less than {format_duration(report['jobs']['seconds']['median'])}. Each "
        "has its own messages, log and record: put several pieces of work into one job."
    )


def disk(report: Report, settings: Settings) -> Advice | None:
    if _few(report):
        return None
    places = report["machines"]["places"]
    needed = 20 + report["jobs"]["disk_mb"]["most"] * places * 1.5 / 1000
    wanted = max(22, _round_up(needed, 10))
    if wanted > int(settings["EBS_VOL_SIZE"]) / 2:
        return None
    return Advice(
        f"A job needed at most {format_megabytes(report['jobs']['disk_mb']['most'])} of disk: {wanted} GB "
        f"a machine would do, instead of {settings['EBS_VOL_SIZE']}.",
        f"EBS_VOL_SIZE = {wanted}",
    )


RULES: tuple[Callable[[Report, Settings], Advice | None], ...] = (
    out_of_memory,
    more_at_once,
    idle_processors,
    spare_memory,
    timeout,
    interruptions,
    failed_attempts,
    idle_machines,
    transfers,
    short_jobs,
    disk,
)


def _few(report: Report) -> bool:
    return bool(report["read"]["done"] < FEWEST_JOBS)


def _short(report: Report) -> bool:
    return bool(report["jobs"]["seconds"]["median"] < _SHORT)


def _container_cores(settings: Settings) -> float:
    return max(0.25, int(settings["CPU_SHARES"]) / 1024)


def _about(share: float) -> str:
    """In steps of five percent, rounded down: more would be a promise."""
    return f"{max(5, 5 * int(20 * share))} %"


def _round_up(value: float, step: int) -> int:
    return int(-(-value // step) * step)


def _round_time(seconds: float) -> int:
    for one in _ROUND_TIMES:
        if seconds <= one:
            return one
    return _round_up(seconds, 3600)
