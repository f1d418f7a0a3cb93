"""The ECS service scheduler (ECS guide, service_definition_parameters)."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from embedded_aws.model import tasks
from embedded_aws.model.placement import Placement, first_to_stop
from embedded_aws.model.service_events import say
from embedded_aws.model.things import Service, Task
from embedded_aws.model.world import Turn, World


def live_tasks(world: World) -> dict[str, list[Task]]:
    """Return the tasks of each service that have not stopped."""
    found: dict[str, list[Task]] = defaultdict(list)
    for task in world.tasks.values():
        if task.status != "STOPPED":
            found[task.service].append(task)
    return found


def schedule(turn: Turn, service: Service, live: list[Task]) -> None:
    """Stop tasks that drain, are outdated or too many; start those that are missing."""
    kept = [t for t in live if t.desired == "RUNNING"]
    drained = _draining(turn, kept)
    staying = [t for t in kept if t.arn not in drained]
    leaving = [t for t in kept if t.arn in drained and _may_drain(turn, t)]
    leaving += _outdated(turn, service, staying)
    stopping = _within(leaving, _may_stop(service, kept)) + _too_many(turn, service, staying)
    service = _stop(turn, service, stopping)
    stopped = {t.arn for t in stopping}
    service = _start(
        turn,
        service,
        [t for t in staying if t.arn not in stopped],
        sum(t.arn not in stopped for t in kept),
    )
    turn.world.services[service.arn] = _finish(turn, service)


def _may_stop(service: Service, kept: list[Task]) -> int:
    """Return how many running tasks minimumHealthyPercent lets go (ecs.DeploymentConfiguration)."""
    least = math.ceil(service.desired * service.minimum_percent / 100)
    return max(0, sum(t.status == "RUNNING" for t in kept) - least)


def _within(candidates: list[Task], allowed: int) -> list[Task]:
    """Keep all candidates that do not run, and as many running ones as allowed."""
    running = [t for t in candidates if t.status == "RUNNING"]
    return [t for t in candidates if t.status != "RUNNING"] + running[:allowed]


def _draining(turn: Turn, kept: list[Task]) -> set[str]:
    """Return the tasks on draining instances (botocore: ecs.UpdateContainerInstancesState)."""
    instances = turn.world.container_instances
    on = {arn for arn, instance in instances.items() if instance.status == "DRAINING"}
    return {t.arn for t in kept if t.container_instance in on}


def _may_drain(turn: Turn, task: Task) -> bool:
    return not (turn.world.draining_spares_protected and tasks.is_protected(task, turn.now))


def _outdated(turn: Turn, service: Service, kept: list[Task]) -> list[Task]:
    """Return unprotected tasks of earlier deployments (ECS guide, task-scale-in-protection)."""
    current = service.deployments[0].id
    return [t for t in kept if t.deployment != current and not tasks.is_protected(t, turn.now)]


def _too_many(turn: Turn, service: Service, kept: list[Task]) -> list[Task]:
    """Return what a scale-in stops: unprotected tasks (ECS guide, task-scale-in-protection)."""
    current = service.deployments[0].id
    mine = [t for t in kept if t.deployment == current]
    if len(mine) <= service.desired:
        return []
    free = [t for t in mine if not tasks.is_protected(t, turn.now)]
    order = first_to_stop(free, turn.world.container_instances, service)
    return order[: len(mine) - service.desired]


def _stop(turn: Turn, service: Service, stopping: list[Task]) -> Service:
    unique = list({t.arn: t for t in stopping}.values())
    for task in unique:
        reason = f"Scaling activity initiated by (deployment {service.deployments[0].id})"
        tasks.stop(turn, task, "ServiceSchedulerInitiated", reason)
    if unique:
        names = " ".join(f"(task {t.id})" for t in unique)
        service = say(turn, service, f"has stopped {len(unique)} running tasks: {names}.")
    return service


def _start(turn: Turn, service: Service, kept: list[Task], alive: int) -> Service:
    """Start what is missing, with at most maximumPercent of the desired count alive."""
    deployment = service.deployments[0]
    current = sum(t.deployment == deployment.id for t in kept)
    most = max(service.desired, service.desired * service.maximum_percent // 100)
    missing = min(service.desired - current, most - alive)
    if missing <= 0 or service.not_before > turn.now:
        return service
    placement = Placement(service, turn.world.container_instances.values(), kept)
    started: list[Task] = []
    for _ in range(missing):
        instance = placement.choose(deployment.definition)
        if instance is None:
            service = _complain(turn, service, *placement.why_not(deployment.definition))
            break
        task, instance = tasks.place(turn, service, deployment, instance)
        placement.update(instance)
        placement.took(instance.arn)
        started.append(task)
    if started:
        names = " ".join(f"(task {t.id})" for t in started)
        service = say(turn, service, f"has started {len(started)} tasks: {names}.")
    return service


def _complain(turn: Turn, service: Service, message: str, problem: str) -> Service:
    """Add the event only when the problem changes (guess)."""
    if problem == service.last_problem:
        return service
    return replace(say(turn, service, message), last_problem=problem)


def _finish(turn: Turn, service: Service) -> Service:
    """Drop deployments without tasks, and report the steady state."""
    mine = service.arn
    live = [t for t in turn.world.tasks.values() if t.service == mine and t.status != "STOPPED"]
    used = {t.deployment for t in live}
    primary = service.deployments[0]
    others = tuple(d for d in service.deployments[1:] if d.id in used)
    running = sum(t.deployment == primary.id and t.status == "RUNNING" for t in live)
    steady = not others and len(live) == running == service.desired
    if steady and not primary.completed:
        primary = replace(primary, completed=True, updated=turn.now)
    deployments = (primary, *others)
    if deployments != service.deployments or steady != service.steady:
        if steady and not service.steady:
            service = say(turn, service, "has reached a steady state.")
            service = replace(service, last_problem="")
        service = replace(service, deployments=deployments, steady=steady)
    return service
