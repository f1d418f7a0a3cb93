"""A service's events and pauses after failed starts (ECS guide, service-event-messages-list)."""

from __future__ import annotations

from dataclasses import replace

from embedded_aws.model.things import Service, ServiceEvent, Task
from embedded_aws.model.world import Turn

KEPT = 100  # botocore: ecs.Service.events, "Up to 100 of the latest events are displayed"
UNABLE = "is unable to consistently start tasks successfully."


def say(turn: Turn, service: Service, message: str) -> Service:
    """Return the service with one more event, newest first."""
    event = ServiceEvent(turn.world.new_id(32), turn.now, f"(service {service.name}) {message}")
    return replace(service, events=(event, *service.events[: KEPT - 1]))


def start_failed(turn: Turn, task: Task) -> None:
    """Lengthen the pause after a task that never ran, up to 27 min (service-throttle-logic)."""
    world = turn.world
    service = world.services.get(task.service)
    if service is None:
        return
    timings = world.timings
    calm = turn.now - service.not_before
    failed = service.failed_in_a_row + 1 if calm <= timings.throttle_most else 1
    pause = min(timings.throttle_first * 2 ** min(failed - 1, 30), timings.throttle_most)
    deployments = tuple(
        replace(d, failed=d.failed + 1) if d.id == task.deployment else d
        for d in service.deployments
    )
    service = replace(
        service, failed_in_a_row=failed, not_before=turn.now + pause, deployments=deployments
    )
    if failed == 3:
        service = say(turn, service, UNABLE)
    world.services[service.arn] = service
