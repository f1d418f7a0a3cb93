"""ECS services: create, update, delete (botocore: ecs.CreateService and its sisters)."""

from __future__ import annotations

from dataclasses import replace

from embedded_aws.model import clusters, scheduling, tasks
from embedded_aws.model import events as e
from embedded_aws.model.placement import parse
from embedded_aws.model.things import NEVER, Deployment, Refused, Service, TaskDefinition
from embedded_aws.model.world import Turn, World


def find(world: World, cluster: str, service: str) -> Service:
    """Return the service of this name or ARN, whatever its status. Raise Refused."""
    name = clusters.check(world, cluster)
    arn = world.arn("service", name, service.rsplit("/", 1)[-1])
    if arn not in world.services:
        raise _not_found()
    return world.services[arn]


def create(turn: Turn, event: e.CreateService) -> str:
    """Create a service; refuse while one of that name is ACTIVE or DRAINING (ecs.DeleteService)."""
    world = turn.world
    cluster = clusters.check(world, event.cluster)
    arn = world.arn("service", cluster, event.name)
    known = world.services.get(arn)
    if known is not None and known.status == "ACTIVE":
        raise Refused("InvalidParameterException", "Creation of service was not idempotent.")
    if known is not None and known.status == "DRAINING":
        raise Refused(
            "InvalidParameterException", "Unable to Start a service that is still Draining."
        )
    if event.desired < 0:
        raise Refused("InvalidParameterException", "desiredCount must not be negative.")
    for expression in event.constraints:
        parse(expression)
    values = vars(event).copy()
    definition = values.pop("definition")
    world.services[arn] = Service(
        **{**values, "cluster": cluster},
        arn=arn,
        created=turn.now,
        deployments=(_deployment(turn, definition),),
    )
    return arn


def update(turn: Turn, event: e.UpdateService) -> str:
    """Update a service; a new task definition or force_new_deployment makes a deployment."""
    world = turn.world
    service = find(world, event.cluster, event.name)
    if service.status != "ACTIVE":
        raise Refused("ServiceNotActiveException", "Service was not ACTIVE.")
    if event.desired is not None and event.desired < 0:
        raise Refused("InvalidParameterException", "desiredCount must not be negative.")
    for expression in event.constraints or ():
        parse(expression)
    given = {
        name: value
        for name, value in vars(event).items()
        if value is not None and name not in ("cluster", "name", "definition", "details")
    }
    forced = given.pop("force_new_deployment")
    service = replace(
        service,
        **given,
        details={**service.details, **event.details},
        steady=False,
        last_problem="",
    )
    definition = event.definition or service.deployments[0].definition
    if forced or definition.arn != service.deployments[0].definition.arn:
        # A new task definition ends the throttling (ECS guide, service-throttle-logic).
        service = replace(
            service,
            deployments=(_deployment(turn, definition), *service.deployments),
            failed_in_a_row=0,
            not_before=0.0,
        )
    world.services[service.arn] = service
    return service.arn


def delete(turn: Turn, event: e.DeleteService) -> str:
    """Delete a service: with tasks only by force; DRAINING until they stop (ecs.DeleteService)."""
    service = find(turn.world, event.cluster, event.name)
    if service.status == "INACTIVE":
        raise _not_found()
    if service.desired > 0 and not event.force:
        raise Refused(
            "InvalidParameterException",
            "The service cannot be stopped while it is scaled above 0.",
        )
    turn.world.services[service.arn] = replace(service, status="DRAINING", desired=0)
    for task in list(turn.world.tasks.values()):
        if task.service == service.arn:
            tasks.stop(turn, task, "ServiceSchedulerInitiated", "Service was deleted.")
    return service.arn


def step(turn: Turn) -> None:
    """Let every service start and stop tasks."""
    by_service = scheduling.live_tasks(turn.world)
    for service in list(turn.world.services.values()):
        live = by_service.get(service.arn, [])
        if service.status == "ACTIVE":
            scheduling.schedule(turn, service, live)
        elif service.status == "DRAINING" and all(t.desired == "STOPPED" for t in live):
            turn.world.services[service.arn] = replace(service, status="INACTIVE")


def next_due(world: World, now: float) -> float:
    """Return when a throttled service next tries."""
    return min((s.not_before for s in world.services.values() if s.not_before > now), default=NEVER)


def _deployment(turn: Turn, definition: TaskDefinition) -> Deployment:
    number = int(turn.world.new_id(15), 16) % 10**19
    return Deployment(
        id=f"ecs-svc/{number:019d}", definition=definition, created=turn.now, updated=turn.now
    )


def _not_found() -> Refused:
    return Refused("ServiceNotFoundException", "Service not found.")
