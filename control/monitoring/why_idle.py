"""Reasons why no job runs at the moment: pure, from what was observed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.aws import fleet
from control.aws.fleet import LIVE_STATES
from control.aws.sqs import queue_counts
from control.explain import no_job, no_machine
from control.explain.no_job import CONTAINERS, MACHINES, RUN
from control.model import seconds
from control.monitoring.facts import Machine, Observed, Stopped
from control.monitoring.pace import Pace
from control.text import several

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.explain.reason import Explained
    from control.model import Run

# AWS starts a machine within minutes, which then takes a minute or two to join (the monitor ends
# it after the same time, see pace.Pace).
PATIENCE_SECONDS = Pace.register


@dataclass(frozen=True)
class Details:
    """Facts that are read only when nothing runs: the newest fleet's history as (EventSubType,
    EventDescription), and the number of messages in the dead-letter queue."""

    history: tuple[tuple[str, str], ...] = ()
    dead: int = 0


def look(
    aws: AWS, run: Run, seen: Observed, patience: float = PATIENCE_SECONDS
) -> Explained | None:
    """Find out why no job runs; None if any does. Asks AWS for no more than the answer needs."""
    details = Details()
    empty = seen.queue is not None and not seen.queue.total
    if empty and seen.jobs.unfinished:
        dead = queue_counts(aws.sqs, run.dead_letter_url)
        details = Details(dead=dead.total if dead else 0)
    elif run.fleets and run.fleets[-1].fleet_id and not seen.machines:
        details = Details(tuple((e.sub_type, e.detail) for e in history(aws, run)))
    return why(seen, details, run, patience)


def history(aws: AWS, run: Run) -> list[fleet.Event]:
    """Return the whole history of the newest fleet; empty if EC2 has forgotten it."""
    newest = run.fleets[-1]
    if not fleet.describe(aws.ec2, [newest.fleet_id]):
        return []
    return fleet.history(aws.ec2, newest.fleet_id, seconds(newest.requested))


def why(
    seen: Observed, details: Details, run: Run, patience: float = PATIENCE_SECONDS
) -> Explained | None:
    """Explain why no job runs; None if any does. After `patience` seconds waiting is no answer."""
    jobs, queue = seen.jobs, seen.queue
    if not jobs.unfinished and not (queue and queue.total):
        return _finished(seen)
    running = seen.service is not None and seen.service.running > 0
    if running and queue and queue.total == queue.delayed > 0:
        return RUN["jobs delayed"].fill("jobs delayed", delayed=f"{queue.delayed:,}")
    if running:
        return no_job.refused(seen.refusals, run.config) if seen.refusals else None
    values = {"unfinished": f"{jobs.unfinished:,}", "queue": run.config.SQS_QUEUE_NAME}
    if queue is None:
        return RUN["queue gone"].fill("queue gone", **values)
    if not queue.total:
        values |= {"dead": f"{details.dead:,}", "dead_queue": run.config.SQS_DEAD_LETTER_QUEUE}
        return RUN["jobs lost"].fill("jobs lost", **values)
    if not seen.machines and not (seen.service is None and _live(seen)):
        return _no_machine(seen, details, run, patience)
    return _no_container(seen, run, patience)


def _finished(seen: Observed) -> Explained:
    jobs = seen.jobs
    situation = "dead letters only" if jobs.failed else "everything done"
    if not jobs.submitted:
        situation = "no jobs"
    names = ("submitted", "done", "skipped", "failed")
    return RUN[situation].fill(situation, **{name: f"{getattr(jobs, name):,}" for name in names})


def _live(seen: Observed) -> list[fleet.FleetState]:
    return [one for one in seen.fleets if one.state in LIVE_STATES]


def _machines(situation: str, **values: object) -> Explained:
    return MACHINES[situation].fill(situation, **values)


def _no_machine(seen: Observed, details: Details, run: Run, patience: float) -> Explained:
    if not run.fleets:
        return _machines("not requested")
    live = _live(seen)
    if not live:
        return _no_fleet(seen, details, run)
    if not sum(one.target for one in live):
        return _machines("target zero")
    causes = no_machine.explain(details.history)
    if causes:
        # What stays wrong comes first, then the newest.
        return next((one for one in causes if not one.waiting_helps), causes[-1])
    waited = seen.now - seconds(run.fleets[-1].requested)
    situation = "machines coming" if waited < patience else "no machine yet"
    return _machines(situation, minutes=f"{max(0.0, waited) / 60:.0f}")


def _no_fleet(seen: Observed, details: Details, run: Run) -> Explained:
    """Explain why the earlier fleets have ended."""
    newest = run.fleets[-1]
    over = seen.now - seconds(newest.requested) >= run.config.MAX_RUN_HOURS * 3600
    found = {no_machine.symptom(*event) for event in details.history}
    if run.end_reason:
        return _machines("ended by monitor", why=run.end_reason)
    cancelled = "request cancelled" in found
    if "request expired" in found or (over and not cancelled):
        return no_machine.REASONS["request expired"].fill("request expired")
    if cancelled:
        return no_machine.REASONS["request cancelled"].fill("request cancelled")
    return _machines("fleet gone", requested=newest.requested)


def _no_container(seen: Observed, run: Run, patience: float) -> Explained:
    service = seen.service
    if service is None:
        return CONTAINERS["service gone"].fill("service gone", service=run.service)
    joined = [m for m in seen.machines if m.container_instance]
    if not joined:
        return _not_joined(seen, run, patience)
    if not service.desired:
        return CONTAINERS["no container wanted"].fill("no container wanted", service=run.service)
    machines = several(len(joined), "machine")
    if not any(m.connected for m in joined):
        return _machines("agent disconnected", machines=machines)
    if seen.stopped:
        stop = commonest_stops(seen)[0]
        return no_job.stopped(stop.why, stop.exit_code, run.config)
    if all(m.draining for m in joined):
        return _machines("draining", machines=machines)
    if service.pending:
        situation = "containers starting"
        return CONTAINERS[situation].fill(situation, pending=service.pending)
    message = no_job.plain(service.last_word) or "none."
    return no_job.placement(service.last_word, run.config) or CONTAINERS["no place yet"].fill(
        "no place yet", machines=machines, message=message
    )


def commonest_stops(seen: Observed) -> list[Stopped]:
    """Return those stopped containers that have the most common symptom."""
    # The same symptom in other words, such as the id of a task, is one.
    alike: defaultdict[str, list[Stopped]] = defaultdict(list)
    for one in seen.stopped:
        alike[no_job.stop_symptom(one.why, one.exit_code) or one.why].append(one)
    return max(alike.values(), key=len, default=[])


def _not_joined(seen: Observed, run: Run, patience: float) -> Explained:
    oldest: Machine = min(seen.machines, key=lambda m: m.launched)
    waited = seen.now - oldest.launched
    return _machines(
        "starting" if waited < patience else "agent not registered",
        machines=several(len(seen.machines), "machine"),
        minutes=f"{waited / 60:.0f}",
        cluster=run.cluster,
    )
