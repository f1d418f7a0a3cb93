"""Advice from the figures of a run."""

from __future__ import annotations

from collections.abc import Callable

from control.config import LONGEST_JOB_SECONDS, Config
from control.reports.report_model import Advice, Jobs, Report
from control.text import format_duration, format_megabytes, format_percent, several

# Fewer jobs say little about the next ones.
FEWEST_JOBS = 5
# Plan with this share of MEMORY: a job of the next run may need more than any of this one.
_MEMORY_USED = 0.9
# Jobs at once may need this many times the cores that there are, as they wait at times.
_CORES_USED = 1.1
# In shorter jobs, in seconds, starting and storing is too much to plan with the rest.
_SHORT = 10
# One step at a time: with many more jobs at once something else may become scarce.
_MOST_TIMES = 4
_ROUND_TIMES = (60, 120, 300, 600, 900, 1200, 1800, 3600, 5400)


def advise(report: Report) -> tuple[Advice, ...]:
    """Return all that is worth changing, the largest saving first."""
    rules = RULES_FOR_LOCAL if report.local else RULES
    found = [one for rule in rules if (one := rule(report)) is not None]
    return tuple(sorted(found, key=lambda one: -one.saving))


def out_of_memory(report: Report) -> Advice | None:
    killed = report.failed_by_cause.get("out_of_memory", 0)
    if not killed:
        return None
    memory, cores = report.config.MEMORY, report.config.DOCKER_CORES
    fewer = f"DOCKER_CORES = {cores // 2}" if cores > 1 else ""
    return Advice(
        f"{several(killed, 'job')} ran out of memory: {several(cores, 'job')} at once "
        f"{'shares' if cores == 1 else 'share'} {format_megabytes(memory)}. "
        + ("Run fewer at once, or give" if fewer else "Give")
        + " more MEMORY on machines that have it.",
        fewer or f"MEMORY = {2 * memory}",
    )


def more_at_once(report: Report) -> Advice | None:
    """Return advice to run more jobs on each machine, if memory and processors have room."""
    jobs, config = _enough(report), report.config
    if not jobs or out_of_memory(report) or jobs.seconds.median < _SHORT:
        return None
    now = config.DOCKER_CORES
    peak = max(jobs.memory_mb.most, 1.0)
    by_memory = int(config.MEMORY * _MEMORY_USED // peak)
    by_cores = int(_container_cores(config) * _CORES_USED // max(jobs.cores.mean, 0.01))
    wanted = min(by_memory, by_cores, _MOST_TIMES * now)
    if wanted < now * 1.25:
        return None
    saving = 1 - now / wanted
    return Advice(
        f"Jobs peaked at {format_megabytes(peak)} of {format_megabytes(config.MEMORY)}: {wanted} "
        f"at once would fit instead of {now}, cutting the cost of machines by about "
        f"{_about(saving)}.",
        f"DOCKER_CORES = {wanted}",
        saving,
    )


def idle_processors(report: Report) -> Advice | None:
    """Return advice about processors that wait because memory is full."""
    jobs, config = _enough(report), report.config
    if not jobs or more_at_once(report):
        return None
    busy = _busy_cores(jobs, config)
    if busy >= 0.5 or jobs.memory_mb.most * config.DOCKER_CORES < 0.7 * config.MEMORY:
        return None
    return Advice(
        f"The processors were {format_percent(busy)} busy while jobs ran, and memory has no room "
        "for more jobs at once: machine types with more memory per core (r instead of m or c) do "
        "the same for less."
    )


def spare_memory(report: Report) -> Advice | None:
    """Return advice about memory that no job needs, where the processors are full."""
    jobs, config = _enough(report), report.config
    if not jobs or more_at_once(report) or out_of_memory(report):
        return None
    needed = jobs.memory_mb.most * config.DOCKER_CORES
    used = needed / config.MEMORY
    much = config.MEMORY / _container_cores(config) > 2500
    if used > 0.4 or _busy_cores(jobs, config) < 0.6 or not much:
        return None
    return Advice(
        f"Jobs used the processors, and at most {format_percent(used)} of MEMORY: machine types "
        "with less memory per core (c instead of m or r) usually cost less.",
        f"MEMORY = {_round_up(needed * 1.3, 500)}",
    )


def timeout(report: Report) -> Advice | None:
    """Return advice from JOB_TIMEOUT and the longest job that ended by itself."""
    late = report.failed_by_cause.get("timeout", 0)
    limit = report.config.JOB_TIMEOUT
    jobs = _enough(report)
    longest = jobs.seconds.most if jobs else 0.0
    wanted = _round_time(3 * longest)
    if longest and wanted <= limit / 2:
        hung = f"{several(late, 'job')} reached it. " if late else ""
        return Advice(
            f"JOB_TIMEOUT is {format_duration(limit)}, and no job that was done took more than "
            f"{format_duration(longest)}. {hung}{format_duration(wanted)} would end jobs that hang "
            "sooner.",
            f"JOB_TIMEOUT = {wanted}",
        )
    if not late or limit >= LONGEST_JOB_SECONDS:
        return None
    return Advice(
        f"{several(late, 'job')} took longer than JOB_TIMEOUT ({format_duration(limit)}). If they "
        "did not hang, give them more time.",
        f"JOB_TIMEOUT = {min(2 * limit, LONGEST_JOB_SECONDS)}",
    )


def interruptions(report: Report) -> Advice | None:
    count = report.attempts.interrupted
    receives = report.done + report.attempts.failed + count
    if count < 3 or count < 0.05 * receives:
        return None
    text = f"{several(count, 'attempt')} of {receives:,} were interrupted by AWS or by scale-in. "
    if report.config.MACHINE_PRICE is not None:
        return Advice(
            f"{text}A price limit makes that more frequent: without it you pay the market price, "
            "never more than the on-demand one.",
            "MACHINE_PRICE = None",
        )
    if len(report.config.MACHINE_TYPE) < 6:
        return Advice(
            f"{text}With more machine types AWS can choose those that it interrupts least."
        )
    return Advice(f"{text}Shorter jobs lose less when that happens.")


def failed_attempts(report: Report) -> Advice | None:
    lost = report.attempts.seconds
    everything = lost + (report.jobs.seconds.mean * report.done if report.jobs else 0.0)
    if report.attempts.failed < 3 or not everything or lost < 0.1 * everything:
        return None
    return Advice(
        f"{format_percent(lost / everything)} of the jobs' time went into attempts that failed or "
        "were interrupted. If a job always fails, trying it again does not help: fix it, or lower "
        f"JOB_RETRIES ({report.config.JOB_RETRIES})."
    )


def idle_machines(report: Report) -> Advice | None:
    machines = report.machines
    if not _enough(report) or machines.hours < 0.5 or machines.busy_share >= 0.6:
        return None
    return Advice(
        f"On average, jobs filled {format_percent(machines.busy_share)} of the places on the "
        "machines. Fewer machines have less idle time, and longer runs lose a smaller "
        "share of their time at the start and the end."
    )


def transfers(report: Report) -> Advice | None:
    jobs = _enough(report)
    if not jobs or jobs.download_share + jobs.upload_share < 0.05:
        return None
    much = (
        " Run more jobs at once to keep the processors busy during transfers, and keep the bucket "
        "and the machines in one region."
        if jobs.download_share + jobs.upload_share >= 0.25
        else ""
    )
    return Advice(
        f"Downloads took {format_percent(jobs.download_share)} of the jobs' time, uploads "
        f"{format_percent(jobs.upload_share)}.{much}"
    )


def short_jobs(report: Report) -> Advice | None:
    jobs = _enough(report)
    if not jobs or jobs.seconds.median >= _SHORT or report.done < 1000:
        return None
    return Advice(
        f"Half of the jobs took less than {format_duration(jobs.seconds.median)}. Each has its own "
        "messages, log and record: put several pieces of work into one job."
    )


def full_disk(report: Report) -> Advice | None:
    jobs = report.failed_by_cause.get("disk_full", 0)
    if not jobs:
        return None
    now = report.config.EBS_VOL_SIZE
    return Advice(
        f"{several(jobs, 'job')} ran out of disk space: each machine has {now} GB for all its "
        "jobs.",
        f"EBS_VOL_SIZE = {2 * now}",
    )


def spare_disk(report: Report) -> Advice | None:
    jobs, now = _enough(report), report.config.EBS_VOL_SIZE
    if not jobs or full_disk(report):
        return None
    most = jobs.disk_mb.most
    wanted = max(22, _round_up(20 + most * report.machines.places * 1.5 / 1000, 10))
    if wanted > now / 2:
        return None
    return Advice(
        f"A job needed at most {format_megabytes(most)} of disk: {wanted} GB per machine is "
        f"enough, instead of {now}.",
        f"EBS_VOL_SIZE = {wanted}",
    )


Rule = Callable[[Report], Advice | None]
RULES: tuple[Rule, ...] = (
    out_of_memory,
    full_disk,
    more_at_once,
    idle_processors,
    spare_memory,
    timeout,
    interruptions,
    failed_attempts,
    idle_machines,
    transfers,
    short_jobs,
    spare_disk,
)
# The others compare a run with settings of machines, which this computer does not have.
RULES_FOR_LOCAL: tuple[Rule, ...] = (failed_attempts, short_jobs)


def _enough(report: Report) -> Jobs | None:
    """Return what jobs needed if enough of them are done."""
    return report.jobs if report.read.done >= FEWEST_JOBS else None


def _container_cores(config: Config) -> float:
    return max(0.25, config.CPU_SHARES / 1024)


def _busy_cores(jobs: Jobs, config: Config) -> float:
    return jobs.cores.mean * config.DOCKER_CORES / _container_cores(config)


def _about(share: float) -> str:
    """Return a share in steps of five percent, rounded down: more would be a promise."""
    return f"{max(5, 5 * int(20 * share))} %"


def _round_up(value: float, step: int) -> int:
    return int(-(-value // step) * step)


def _round_time(seconds: float) -> int:
    for one in _ROUND_TIMES:
        if seconds <= one:
            return one
    return _round_up(seconds, 3600)
