"""Containers that run beside waiting jobs and take none: a full disk, a program that is missing.

Whoever takes no job keeps its machine for nothing. Other machines may be better, so those that
have done jobs are replaced; if nothing has been done since then, others would not do any either.
"""

from __future__ import annotations

from dataclasses import replace

from control.monitoring import idle
from control.monitoring.observed import Memory, Observed, Pace
from control.monitoring.orders import EndMachines, EndRefusing

# Without a word from them, it may be that they only take long to begin.
_PATIENCE_WITHOUT_A_WORD = 3
# A wait that no monitor has seen for so long is another one: meanwhile much may have been mended.
_LONGEST_GAP = 300.0


def remember(seen: Observed, memory: Memory, pace: Pace) -> Memory:
    """The memory with since when the same jobs have waited in vain for the same containers."""
    if not seen.takes_no_job:
        return replace(memory, refused_since=None)
    waiting = seen.queue.visible if seen.queue else 0
    running = seen.service.running if seen.service else 0
    since, readings = memory.refused_since, memory.refused_readings
    # Another number of jobs: one was done in between, too short to be seen in work. More
    # containers: a new one has not had its chance yet.
    anew = waiting != memory.refused_waiting or running > memory.refused_running
    if since is None or anew or seen.now - memory.refused_last > _LONGEST_GAP:
        since, readings = seen.now, 0
    return replace(
        memory,
        refused_since=min(since, seen.now),
        refused_last=seen.now,
        refused_readings=min(readings + 1, pace.settle_readings),
        refused_waiting=waiting,
        refused_running=running,
    )


def decide(
    seen: Observed, memory: Memory, pace: Pace
) -> tuple[EndMachines | EndRefusing | None, Memory]:
    """What to do about it, and the memory with what is done about it."""
    since = memory.refused_since
    patience = pace.refuse * (1 if seen.refusals else _PATIENCE_WITHOUT_A_WORD)
    enough = memory.refused_readings >= pace.settle_readings
    if since is None or not enough or seen.now - since < patience:
        return None, memory
    why = idle.refusal(seen.refusals).what.rstrip(".")
    if seen.jobs.done <= memory.refused_done:
        return EndMachines(why), memory
    # One that came later has not been looked at for long enough.
    machines = tuple(m for m in seen.machines if m.tasks and m.launched <= since)
    if not machines:
        return None, memory
    memory = replace(memory, refused_since=None, refused_done=seen.jobs.done)
    return EndRefusing(machines, f"{why[0].lower()}{why[1:]}"), memory
