"""Waiting for the machines of a fleet, with a live count, and why none comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from control import reasons_fleet, screen
from control.errors import ExplainedError
from control.monitoring import idle, observation
from control.services import cluster, fleet
from control.words import several

if TYPE_CHECKING:
    from control.services.account import AWS
    from control.services.records import Run

# AWS usually brings the first machine within two to four minutes; after this we say why not.
WAIT_SECONDS = 600
POLL_SECONDS = 10
_EVENTS_SHOWN = 5


def wait_for_machines(
    aws: AWS,
    run: Run,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    poll_seconds: float = POLL_SECONDS,
) -> bool:
    """Wait until the first container runs, with a live count; False if none came in ten minutes.

    What AWS says against the request is said as soon as AWS says it. Nothing depends on waiting:
    it may be broken off. Raises ExplainedError if no machine is up and none can come before
    something is changed.
    """
    began, said = clock(), ""
    told: set[str] = set()
    while clock() - began < WAIT_SECONDS:
        fleets = fleet.describe(aws.ec2, fleet.of_run(aws.ec2, run))
        up = sum(len(f.instances) for f in fleets)
        service = cluster.service_state(aws.ecs, run)
        running = service.running if service else 0
        line = (
            f"Machines: {sum(f.target for f in fleets)} wanted, {up} up, "
            f"{len(cluster.machines(aws.ecs, run))} registered; containers running: {running}"
        )
        if line != said:
            screen.say(line)
            said = line
        if running:
            return True
        if not up:
            _say_new(why_none_comes(aws, run), told)
        elif service:
            _raise_without_place(service.last_word, run)
        sleep(poll_seconds)
    return False


def _raise_without_place(last_word: str, run: Run) -> None:
    """Raise ExplainedError if ECS says that no container fits on the machines that have come."""
    found = idle.placement(last_word, run.settings)
    if found and found.lasting:
        raise ExplainedError(found.what, found.fix)


def _say_new(reasons: list[reasons_fleet.Explained], told: set[str]) -> None:
    for reason in reasons:
        if reason.lasting:
            raise ExplainedError(reason.what, reason.fix)
        if reason.what not in told:
            told.add(reason.what)
            screen.say(f"{reason.what} {reason.fix}")


def why_none_comes(aws: AWS, run: Run) -> list[reasons_fleet.Explained]:
    """The causes that the whole history of the newest fleet tells, explained."""
    return reasons_fleet.explain((e.sub_type, e.detail) for e in idle.history(aws, run))


def say_why_not(aws: AWS, run: Run, clock: Callable[[], float] = time.time) -> None:
    """Say why no container runs, after what AWS says in its own words."""
    seen = observation.observe(aws, run, clock())
    found = idle.look(aws, run, seen, patience=WAIT_SECONDS)
    if found is None:
        return
    if not seen.machines:
        screen.say(f"No machine came within {WAIT_SECONDS // 60} minutes. EC2 says:")
        lines = [str(event) for event in idle.history(aws, run)]
    else:
        joined = sum(bool(m.container_instance) for m in seen.machines)
        screen.say(f"No container runs on the {several(joined, 'machine')}. ECS says:")
        lines = [*cluster.events(aws.ecs, run, _EVENTS_SHOWN), *(s.why for s in seen.stopped)]
    for line in dict.fromkeys(lines):
        screen.say(f"  {line}")
    screen.say(f"{found.what} {found.fix}")
