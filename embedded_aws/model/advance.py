"""The one step of the model: from a world and events to the world at `now`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from embedded_aws.model import (
    clusters,
    container_instances,
    fleets,
    instances,
    services,
    tasks,
)
from embedded_aws.model import events as e
from embedded_aws.model.things import NEVER, Refused, first
from embedded_aws.model.world import Effect, Turn, World

Answer = Any
ROUNDS_AT_ONE_MOMENT = 1000
_ENDED, _STOPPED = attrgetter("ended"), attrgetter("stopped")
PARTS = (instances, fleets, tasks, services)


class Advanced(NamedTuple):
    """The result of an advance; an answer is a request's result, or a Refused."""

    world: World
    effects: list[Effect]
    answers: list[Answer]


def _set_capacity(turn: Turn, event: e.SetCapacity) -> None:
    turn.world.capacity = event.capacity
    turn.world.vcpu_quota = event.vcpu_quota
    fleets.capacity_changed(turn)


HANDLERS: Mapping[type, Callable[[Turn, Any], Answer]] = {
    e.RequestFleet: fleets.request,
    e.ModifyFleet: fleets.modify,
    e.CancelFleet: fleets.cancel,
    e.TerminateInstances: instances.terminate_by_user,
    e.InterruptInstance: instances.interrupt,
    e.SetCapacity: _set_capacity,
    e.CreateCluster: clusters.create,
    e.DeleteCluster: clusters.delete,
    e.SetContainerInstanceState: container_instances.set_state,
    e.DeregisterContainerInstance: container_instances.deregister_by_user,
    e.CreateService: services.create,
    e.UpdateService: services.update,
    e.DeleteService: services.delete,
    e.StopTaskRequest: tasks.stop_by_user,
    e.ProtectTask: tasks.protect,
    e.TaskExited: tasks.exited,
    e.TaskNotStarted: tasks.not_started,
}


def advance(world: World, events: Iterable[e.Event], now: float) -> Advanced:
    """Return the world at `now` after `events`, which happen at `now`; `world` does not change.

    What happens by itself between two advances happens at its own time, however long the step.
    """
    events = list(events)
    if not events and world.wake > now:
        return Advanced(world, [], [])
    turn = Turn(world.copy(), now, [])
    _let_time_pass(turn, now)
    answers: list[Answer] = []
    for event in events:
        try:
            answers.append(HANDLERS[type(event)](turn, event))
        except Refused as refused:
            answers.append(refused)
    if events:
        turn.world.wake = now
        _let_time_pass(turn, now)
    return Advanced(turn.world, turn.effects, answers)


def _let_time_pass(turn: Turn, until: float) -> None:
    world = turn.world
    rounds = 0
    while world.wake <= until:
        rounds = rounds + 1 if turn.now == world.wake else 0
        if rounds > ROUNDS_AT_ONE_MOMENT:
            raise RuntimeError(f"The model does not come to rest at {turn.now}.")
        turn.now = world.wake
        for part in PARTS:
            part.step(turn)
        if _next_forgetting(world) <= turn.now:
            _forget(turn)
        wake = min(_next_forgetting(world), *(part.next_due(world, turn.now) for part in PARTS))
        tick = world.timings.tick
        world.wake = math.ceil(wake / tick) * tick if tick and wake < NEVER else wake
    turn.now = until


def _forget(turn: Turn) -> None:
    """Drop what AWS no longer shows."""
    for things, end, kept in _ends(turn.world):
        for key in [key for key, thing in things.items() if end(thing) + kept <= turn.now]:
            del things[key]


def _next_forgetting(world: World) -> float:
    return min(first(things, end) + kept for things, end, kept in _ends(world))


def _ends(world: World) -> list[tuple[dict[str, Any], Callable[[Any], float], float]]:
    """Return what AWS forgets, when that ended, and how long AWS still shows it."""
    timings = world.timings
    return [
        (world.instances, _ENDED, timings.forget_instance),
        (world.tasks, _STOPPED, timings.forget_task),
        (world.fleets, _ENDED, timings.forget_fleet),
    ]
