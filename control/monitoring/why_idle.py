"""Why no job runs at the moment: pure, from what was observed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.aws import fleet
from control.aws.fleet import LIVE_STATES
from control.aws.sqs import queue_counts
from control.config import Config
from control.explain import no_machine
from control.explain.no_job import (
    CONTAINERS,
    MACHINES,
    PLACEMENT,
    REFUSED,
    RUN,
    STOPPED,
    Idle,
    told,
)
from control.model import seconds
from control.monitoring.facts import Machine, Observed
from control.text import several

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.model import Run

# AWS brings a machine within minutes, which then takes a minute or two to join (the monitor ends
# it after as long, see observed.Pace).
PATIENCE_SECONDS = 600

_UNABLE = "unable to place a task"


@dataclass(frozen=True)
class Heard:
    """What is asked for only when nothing runs: the newest fleet's history as (EventSubType,
    EventDescription), and how many messages lie in the dead-letter queue."""

    history: tuple[tuple[str, str], ...] = ()
    dead: int = 0


def look(aws: AWS, run: Run, seen: Observed, patience: float = PATIENCE_SECONDS) -> Idle | None:
    """Why no job runs; None if any does. Asks AWS for no more than the answer needs."""
    heard = Heard()
    empty = seen.queue is not None and not seen.queue.total
    if empty and seen.jobs.finished < seen.jobs.submitted:
        dead = queue_counts(aws.sqs, run.dead_letter_url)
        heard = Heard(dead=dead.total if dead else 0)
    elif run.fleets and run.fleets[-1].fleet_id and not seen.machines:
        heard = Heard(tuple((e.sub_type, e.detail) for e in history(aws, run)))
    return why(seen, heard, run, patience)


def history(aws: AWS, run: Run) -> list[fleet.Event]:
    """The whole history of the newest fleet; empty if EC2 has forgotten it."""
    newest = run.fleets[-1]
    if not fleet.describe(aws.ec2, [newest.fleet_id]):
        return []
    return fleet.history(aws.ec2, newest.fleet_id, seconds(newest.requested))


def why(seen: Observed, heard: Heard, run: Run, patience: float = PATIENCE_SECONDS) -> Idle | None:
    """Why no job runs; None if any does. `patience`: seconds after which waiting is no answer."""
    jobs, queue = seen.jobs, seen.queue
    left = jobs.submitted - jobs.finished
    if left <= 0 and not (queue and queue.total):
        return _finished(seen)
    running = seen.service is not None and seen.service.running > 0
    if running and queue and queue.total == queue.delayed > 0:
        return told("jobs delayed", RUN["jobs delayed"], delayed=f"{queue.delayed:,}")
    if running:
        return refusal(seen.refusals) if seen.refusals else None
    if queue is None:
        words = {"queue": run.config.SQS_QUEUE_NAME, "unfinished": f"{left:,}"}
        return told("queue gone", RUN["queue gone"], **words)
    if not queue.total:
        return told(
            "jobs lost",
            RUN["jobs lost"],
            unfinished=f"{left:,}",
            dead=f"{heard.dead:,}",
            dead_queue=run.config.SQS_DEAD_LETTER_QUEUE,
        )
    if not seen.machines and not (seen.service is None and _live(seen)):
        return _no_machine(seen, heard, run, patience)
    return _no_container(seen, run, patience)


def _finished(seen: Observed) -> Idle:
    jobs = seen.jobs
    counts = {"done": jobs.done, "skipped": jobs.skipped, "failed": jobs.failed}
    words = {name: f"{count:,}" for name, count in counts.items()}
    situation = "dead letters only" if jobs.failed else "everything done"
    if not jobs.submitted:
        situation = "no jobs"
    return told(situation, RUN[situation], **words, submitted=f"{jobs.submitted:,}")


def _live(seen: Observed) -> list[fleet.FleetState]:
    return [one for one in seen.fleets if one.state in LIVE_STATES]


def _no_machine(seen: Observed, heard: Heard, run: Run, patience: float) -> Idle:
    if not run.fleets:
        return told("not asked for", MACHINES["not asked for"])
    live = _live(seen)
    if not live:
        return _no_fleet(seen, heard, run)
    if not sum(one.target for one in live):
        return told("target zero", MACHINES["target zero"])
    causes = no_machine.explain(heard.history)
    if causes:
        # What stays wrong comes first, then what AWS said last.
        cause = next((c for c in causes if c.lasting), causes[-1])
        return Idle(cause.situation, cause.what, cause.fix, cause.lasting)
    waited = seen.now - seconds(run.fleets[-1].requested)
    situation = "machines coming" if waited < patience else "no machine yet"
    return told(situation, MACHINES[situation], minutes=f"{max(0.0, waited) / 60:.0f}")


def _no_fleet(seen: Observed, heard: Heard, run: Run) -> Idle:
    """Why the fleets that there were have ended."""
    newest = run.fleets[-1]
    hours = run.config.MAX_RUN_HOURS
    over = seen.now - seconds(newest.requested) >= hours * 3600
    subs = [sub_type for sub_type, _ in heard.history]
    if run.end_reason:
        return told("ended by monitor", MACHINES["ended by monitor"], why=run.end_reason)
    if "expired" in subs or (over and "cancelled" not in subs):
        return told("max run hours", MACHINES["max run hours"], hours=hours)
    if any(sub_type.startswith("cancelled") for sub_type in subs):
        return told("cancelled", MACHINES["cancelled"])
    return told("fleet gone", MACHINES["fleet gone"], requested=newest.requested)


def _no_container(seen: Observed, run: Run, patience: float) -> Idle:
    service = seen.service
    if service is None:
        return told("service gone", CONTAINERS["service gone"], service=run.service)
    joined = [m for m in seen.machines if m.container_instance]
    if not joined:
        return _not_joined(seen, run, patience)
    if not service.desired:
        return told("no container wanted", CONTAINERS["no container wanted"], service=run.service)
    machines = {"machines": several(len(joined), "machine")}
    if not any(m.connected for m in joined):
        return told("agent disconnected", MACHINES["agent disconnected"], **machines)
    if seen.stopped:
        return stopped(Counter(s.why for s in seen.stopped).most_common(1)[0][0], run)
    if all(m.draining for m in joined):
        return told("draining", MACHINES["draining"], **machines)
    if service.pending:
        return told(
            "containers starting", CONTAINERS["containers starting"], pending=service.pending
        )
    message = _plain(service.last_word) or "none."
    return placement(service.last_word, run.config) or told(
        "no place yet", CONTAINERS["no place yet"], **machines, message=message
    )


def _not_joined(seen: Observed, run: Run, patience: float) -> Idle:
    oldest: Machine = min(seen.machines, key=lambda m: m.launched)
    waited = seen.now - oldest.launched
    situation = "starting" if waited < patience else "agent not registered"
    return told(
        situation,
        MACHINES[situation],
        machines=several(len(seen.machines), "machine"),
        minutes=f"{waited / 60:.0f}",
        cluster=run.cluster,
    )


def placement(last_word: str, config: Config) -> Idle | None:
    """What ECS's last word says of why no machine can take a container; None if it says nothing
    that is wrong with the machines that there are."""
    if _UNABLE not in last_word:
        return None
    for words, reason in PLACEMENT.items():
        if words.lower() in last_word.lower():
            names = ("MEMORY", "CPU_SHARES", "GPUS_PER_TASK")
            known = {name: getattr(config, name) for name in names}
            return told(words, reason, **known, machines="all", message=_plain(last_word))
    return None


def stopped(message: str, run: Run) -> Idle:
    """What the end of a container means."""
    words, reason = next(
        (words, reason) for words, reason in STOPPED.items() if words.lower() in message.lower()
    )
    return told(
        words or "container stopped",
        reason,
        message=message.rstrip(".") + ".",
        image=run.config.DOCKERHUB_TAG,
        MEMORY=run.config.MEMORY,
        log_group=run.log_group,
    )


def refusal(said: Sequence[str]) -> Idle:
    """Why the containers that run take no job, from what they said of it, the newest last."""
    message = said[-1] if said else "their log does not say why"
    words, reason = next((w, r) for w, r in REFUSED.items() if w.lower() in message.lower())
    return told(words or "takes no job", reason, message=message.rstrip(".") + ".")


def _plain(message: str) -> str:
    """ECS's words without the name of the service before them and the advice behind."""
    text = message.split(") ", 1)[-1] if message.startswith("(service") else message
    return text.split(" For more information", 1)[0]
