"""Decide what the monitor does next: pure, from what was observed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from control.aws.fleet import LIVE_STATES
from control.config import Config
from control.explain import no_job
from control.monitoring.facts import (
    Action,
    DeleteAlarms,
    EndBroken,
    EndMachines,
    EndRefusing,
    EndRun,
    Machine,
    Memory,
    Observed,
    PutAlarm,
    SetTarget,
)
from control.monitoring.scale import changeable, enforce, scale
from control.monitoring.timings import Pace
from control.monitoring.why_idle import commonest_stops
from control.text import several

# Containers that log no reason may only need long to begin: they get this many times the patience.
_PATIENCE_WITHOUT_REASON = 3
# After a gap this long in the readings a wait counts as a new one: much may have been fixed since.
_LONGEST_GAP = 300.0


def remember_refusals(seen: Observed, memory: Memory, pace: Pace) -> Memory:
    """Return memory with the time since which the same jobs wait for the same containers."""
    if not seen.accepts_no_jobs:
        return replace(memory, refused_since=None)
    waiting = seen.queue.visible if seen.queue else 0
    running = seen.service.running if seen.service else 0
    since, readings = memory.refused_since, memory.refused_readings
    # Another number of jobs: one was done in between, too short to be seen running. More
    # containers: a new one has not had its chance yet.
    changed = waiting != memory.refused_waiting or running > memory.refused_running
    if since is None or changed or seen.now - memory.refused_last > _LONGEST_GAP:
        since, readings = seen.now, 0
    return replace(
        memory,
        refused_since=min(since, seen.now),
        refused_last=seen.now,
        refused_readings=min(readings + 1, pace.settle_readings),
        refused_waiting=waiting,
        refused_running=running,
    )


def end_refusing(
    seen: Observed, memory: Memory, config: Config, pace: Pace
) -> tuple[EndMachines | EndRefusing | None, Memory]:
    """Decide what to do when containers have accepted no jobs for too long, and remember it."""
    since = memory.refused_since
    patience = pace.refuse * (1 if seen.refusals else _PATIENCE_WITHOUT_REASON)
    enough = memory.refused_readings >= pace.settle_readings
    if since is None or not enough or seen.now - since < patience:
        return None, memory
    why = no_job.refused(seen.refusals, config).what.rstrip(".")
    if seen.jobs.done <= memory.refused_done:
        return EndMachines(why), memory
    # One that started later has not been observed for long enough.
    machines = tuple(m for m in seen.machines if m.tasks and m.launched <= since)
    if not machines:
        return None, memory
    memory = replace(memory, refused_since=None, refused_done=seen.jobs.done)
    return EndRefusing(machines, why), memory


def cheapest_applies(seen: Observed, pace: Pace) -> bool:
    """Tell whether the user wants it, and the fleets have had their time to start."""
    return seen.cheapest_since > 0 and seen.now - seen.cheapest_since >= pace.cheapest


def cap_cheapest(seen: Observed, chosen: Sequence[Action]) -> list[Action]:
    """Return the actions with targets of one machine in all, lowered before anything else."""
    fleets = changeable(seen)
    # The newest that keeps a machine: one with a target of 0 starts no new one.
    keeper = next((f for f in reversed(fleets) if f.target), fleets[-1] if fleets else None)
    wanted = {f.fleet_id: f.target for f in fleets}
    wanted |= {a.fleet_id: a.machines for a in chosen if isinstance(a, SetTarget)}
    targets: list[Action] = []
    for fleet in fleets:
        most = 1 if fleet is keeper else 0
        target = min(most, wanted[fleet.fleet_id])
        if target != fleet.target:
            targets.append(SetTarget(fleet.fleet_id, target))
    return [*targets, *(a for a in chosen if not isinstance(a, SetTarget))]


def decide(
    seen: Observed, memory: Memory, config: Config, pace: Pace
) -> tuple[list[Action], Memory]:
    """Return the next actions, and what the next step must remember."""
    memory = remember_refusals(seen, _remember_gone(seen, memory, pace), pace)
    end = (
        _end(seen, memory, pace)
        or _cannot_continue(seen, memory, pace)
        or _never_works(seen, pace)
        or _has_no_place(seen, config, pace)
    )
    if end is not None:
        return [end], memory
    refused, memory = end_refusing(seen, memory, config, pace)
    if refused is not None:
        return [refused], memory
    memory, broken = _broken(seen, memory, pace)
    if memory.never_registered >= pace.give_up_machines:
        return [EndMachines(_why_broken(memory.never_registered, pace))], memory
    actions, memory = enforce(seen, memory, config, pace, broken)
    if not actions:
        actions, memory = scale(seen, memory, config, pace, broken)
        if cheapest_applies(seen, pace):
            actions = cap_cheapest(seen, actions)
    if broken:
        actions.append(EndBroken(tuple(m.instance_id for m in broken)))
    return [*actions, *_alarms(seen)], memory


def _remember_gone(seen: Observed, memory: Memory, pace: Pace) -> Memory:
    """Return memory with the time since which the queue is empty, and service or fleets are gone.

    EC2 forgets a fleet 48 hours after its end, but may not know one that was just requested.
    """

    def since(known: float | None, holds: bool) -> float | None:
        # A clock that was set back must not keep it waiting forever.
        return min(seen.now, seen.now if known is None else known) if holds else None

    empty = seen.queue is None or not seen.queue.total
    unknown = not _costs(seen) and not seen.requested.keys() <= {f.fleet_id for f in seen.fleets}
    # Counted only as far as it matters: each change is written to run.json.
    readings = min(memory.empty_readings + 1, pace.settle_readings) if empty else 0
    return replace(
        memory,
        empty_since=since(memory.empty_since, empty),
        empty_readings=readings,
        service_gone_since=since(memory.service_gone_since, seen.service is None),
        fleets_unknown_since=since(memory.fleets_unknown_since, unknown),
    )


def _end(seen: Observed, memory: Memory, pace: Pace) -> Action | None:
    """End on a queue that was empty for long enough."""
    if memory.empty_since is None or memory.empty_readings < pace.settle_readings:
        return None
    if seen.now - memory.empty_since < pace.settle:
        return None
    unfinished = seen.jobs.unfinished
    if not unfinished:
        return EndRun()
    return EndMachines(f"the queue is empty, but {unfinished:,} submitted jobs have no record")


def _cannot_continue(seen: Observed, memory: Memory, pace: Pace) -> Action | None:
    """End because somebody or AWS took away what the jobs need."""
    unfinished = seen.jobs.unfinished
    if not unfinished or memory.empty_since is not None:
        return None
    if seen.stopped_at:
        waiting = seen.queue.total if seen.queue else 0
        return EndMachines(
            f"stop has ended the machines (at {seen.stopped_at}): "
            f"{several(waiting, 'job')} {'waits' if waiting == 1 else 'wait'} in the queue"
        )
    if _fleet_is_gone(seen, memory, pace):
        return EndMachines(
            "AWS has ended the fleet (MAX_RUN_HOURS reached, or somebody cancelled it), with "
            f"{several(unfinished, 'job')} unfinished"
        )
    gone = memory.service_gone_since
    if gone is not None and seen.now - gone >= pace.spare and _costs(seen):
        return EndMachines(
            f"somebody has deleted the ECS service, with {several(unfinished, 'job')} unfinished"
        )
    return None


def _costs(seen: Observed) -> bool:
    return any(fleet.state in LIVE_STATES for fleet in seen.fleets) or bool(seen.machines)


def _fleet_is_gone(seen: Observed, memory: Memory, pace: Pace) -> bool:
    """Believe EC2 at once that a fleet has ended; that it does not know one, on a second look."""
    unknown = memory.fleets_unknown_since
    if unknown is not None and seen.now - unknown < pace.spare:
        return False
    return bool(seen.fleets or seen.requested) and not _costs(seen)


def _never_works(seen: Observed, pace: Pace) -> Action | None:
    """End machines whose containers only start and exit: they cost money and do no work."""
    if seen.jobs.finished or seen.at_work or not seen.stopped:
        return None
    most = commonest_stops(seen)
    machines = {one.container_instance for one in most}
    if len(seen.stopped) >= pace.give_up_containers or len(machines) >= pace.give_up_machines:
        times = f"{len(most)} times: {most[0].why}"
        return EndMachines(f"containers end right after their start ({times})")
    return None


def _has_no_place(seen: Observed, config: Config, pace: Pace) -> Action | None:
    """End machines on which no container fits: others of their kind would be no better."""
    service = seen.service
    if service is None or service.running or service.pending or seen.at_work:
        return None
    joined = [m for m in seen.machines if m.container_instance and not m.draining]
    reason = no_job.placement(service.last_word, config)
    if reason is None or reason.waiting_helps:
        return None
    if not any(seen.now - m.launched > pace.register for m in joined):
        return None
    return EndMachines(reason.what.rstrip("."))


def _broken(seen: Observed, memory: Memory, pace: Pace) -> tuple[Memory, tuple[Machine, ...]]:
    """Find machines that did not register in time; they count until any machine is at work."""
    unregistered = [m for m in seen.machines if not m.container_instance]
    readings = memory.unregistered_readings + 1 if unregistered else 0
    broken: tuple[Machine, ...] = ()
    if readings >= pace.register_readings:
        broken = tuple(m for m in unregistered if seen.now - m.launched > pace.register)
    count = 0 if seen.at_work else memory.never_registered + len(broken)
    readings = min(readings, pace.register_readings)
    return replace(memory, unregistered_readings=readings, never_registered=count), broken


def _why_broken(count: int, pace: Pace) -> str:
    return (
        f"{count} machines in a row did not join the cluster within {pace.register / 60:g} "
        "minutes: they cannot reach the internet, or their role does not allow it"
    )


def _alarms(seen: Observed) -> Iterator[Action]:
    with_alarm = {name.rsplit("_", 1)[-1] for name in seen.alarms}
    up = {m.instance_id for m in seen.machines}
    yield from (PutAlarm(m) for m in seen.machines if m.instance_id not in with_alarm)
    stale = tuple(sorted(n for n in seen.alarms if n.rsplit("_", 1)[-1] not in up))
    if stale:
        yield DeleteAlarms(stale)
