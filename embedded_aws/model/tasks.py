"""ECS tasks: start, protection, stop, end (ECS guide, task-lifecycle; botocore: ecs.Task)."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

from embedded_aws.model import clusters, service_events
from embedded_aws.model import events as e
from embedded_aws.model.things import (
    NEVER,
    ContainerInstance,
    Deployment,
    Refused,
    Service,
    Task,
    first,
)
from embedded_aws.model.world import KillTask, StartTask, StopTask, Turn, World

DEFAULT_PROTECTION_MINUTES = 120  # botocore: ecs.UpdateTaskProtection, like the limits below
LEAST_PROTECTION_MINUTES, MOST_PROTECTION_MINUTES = 1, 2880
_START_AT, _KILL_AT = attrgetter("start_at"), attrgetter("kill_at")


def place(
    turn: Turn, service: Service, deployment: Deployment, instance: ContainerInstance
) -> tuple[Task, ContainerInstance]:
    """Place a new task on an instance; return both."""
    world, definition = turn.world, deployment.definition
    tags = dict(service.tags) if service.propagate_tags == "SERVICE" else {}
    if service.propagate_tags == "TASK_DEFINITION":
        tags = {tag["key"]: tag["value"] for tag in definition.details.get("tags", ())}
    task = Task(
        arn=world.arn("task", service.cluster, world.new_id(32)),
        cluster=service.cluster,
        service=service.arn,
        deployment=deployment.id,
        definition=definition,
        container_instance=instance.arn,
        created=turn.now,
        tags=tags,
        start_at=turn.now + world.timings.task_start,
    )
    instance = replace(
        instance,
        free_cpu=instance.free_cpu - definition.cpu,
        free_memory=instance.free_memory - definition.memory,
        free_gpus=instance.free_gpus - definition.gpus,
        tasks=instance.tasks | {task.arn},
    )
    world.tasks[task.arn] = task
    world.container_instances[instance.arn] = instance
    return task, instance


def find(world: World, cluster: str, task: str) -> Task:
    """Return the task of this id or ARN. Raise Refused."""
    name = clusters.check(world, cluster)
    arn = world.arn("task", name, task.rsplit("/", 1)[-1])
    if arn not in world.tasks:
        raise Refused("InvalidParameterException", "The referenced task was not found.")
    return world.tasks[arn]


def is_protected(task: Task, now: float) -> bool:
    """Return whether scale-in and deployments spare it (ECS guide, task-scale-in-protection)."""
    return task.protected_until > now


def protect(turn: Turn, event: e.ProtectTask) -> float:
    """Protect a task, or end that: only of a service, and only while it runs.

    Raise Refused; the codes MISSING and TASK_NOT_VALID are failures, not errors (ECS guide,
    api_failures_messages).
    """
    world = turn.world
    minutes = DEFAULT_PROTECTION_MINUTES if event.minutes is None else event.minutes
    if not LEAST_PROTECTION_MINUTES <= minutes <= MOST_PROTECTION_MINUTES:
        raise Refused(
            "InvalidParameterException", "expiresInMinutes must be between 1 and 2880 minutes."
        )
    name = clusters.check(world, event.cluster)
    task = world.tasks.get(world.arn("task", name, event.task.rsplit("/", 1)[-1]))
    if task is None:
        raise Refused("MISSING", "The task was not found.")
    if not task.service or task.desired != "RUNNING":
        raise Refused("TASK_NOT_VALID", "The task is not running or not part of a service.")
    until = turn.now + 60 * minutes if event.enabled else 0.0
    world.tasks[task.arn] = replace(task, protected_until=until)
    return until


def stop_by_user(turn: Turn, event: e.StopTaskRequest) -> str:
    """Stop a task at a user's request and return its ARN (botocore: ecs.StopTask)."""
    task = find(turn.world, event.cluster, event.task)
    stop(turn, task, "UserInitiated", event.reason)
    return task.arn


def stop(turn: Turn, task: Task, code: str, reason: str) -> None:
    """Send SIGTERM, and SIGKILL after the stop timeout; a task that has not started just ends."""
    if task.desired == "STOPPED":
        return
    task = replace(task, desired="STOPPED", stop_code=code, reason=reason, stopping=turn.now)
    if task.status == "PENDING":
        _stopped(turn, task)
        return
    turn.world.tasks[task.arn] = replace(
        task, status="STOPPING", kill_at=turn.now + task.definition.stop_timeout
    )
    turn.effects.append(StopTask(task.arn))


def host_ends(turn: Turn, arn: str, instance_id: str) -> None:
    """Stop a task whose instance shuts down (ECS guide, stopped-task-error-codes, "Host EC2")."""
    reason = f"Host EC2 (instance {instance_id}) terminated."
    stop(turn, turn.world.tasks[arn], "TerminationNotice", reason)


def gone(turn: Turn, arn: str) -> None:
    """End what is left of a task whose instance is gone (guess: no exit code but SIGKILL's)."""
    task = turn.world.tasks[arn]
    if task.status != "PENDING":
        turn.effects.append(KillTask(arn))
    _stopped(
        turn,
        replace(
            task,
            exit_code=137 if task.status != "PENDING" else None,
            stop_code=task.stop_code or "TerminationNotice",
            reason=task.reason or "Container instance is gone.",
        ),
    )


def exited(turn: Turn, event: e.TaskExited) -> None:
    """Note that the program ended, by itself or on request."""
    task = turn.world.tasks.get(event.task)
    if task is None or task.status == "STOPPED":
        return
    if task.desired == "RUNNING":
        task = replace(
            task,
            stop_code="EssentialContainerExited",
            reason="Essential container in task exited",
            stopping=turn.now,
        )
    _stopped(turn, replace(task, exit_code=event.exit_code, container_reason=event.reason))


def not_started(turn: Turn, event: e.TaskNotStarted) -> None:
    """Note that the container could not start; the service waits longer before the next."""
    task = turn.world.tasks.get(event.task)
    if task is None or task.status == "STOPPED":
        return
    service_events.start_failed(turn, task)
    failed = replace(
        task, stop_code="TaskFailedToStart", reason=event.reason, container_reason=event.reason
    )
    _stopped(turn, replace(failed, started=NEVER))


def step(turn: Turn) -> None:
    """Do what tasks do by themselves at this moment."""
    now = turn.now
    for task in [t for t in turn.world.tasks.values() if t.start_at <= now or t.kill_at <= now]:
        if task.start_at <= now:
            turn.world.tasks[task.arn] = replace(
                task, status="RUNNING", started=now, start_at=NEVER
            )
            turn.effects.append(StartTask(task.arn))
        else:
            turn.world.tasks[task.arn] = replace(task, kill_at=NEVER)
            turn.effects.append(KillTask(task.arn))


def next_due(world: World, now: float) -> float:
    """Return when a task next does something by itself, or loses its protection."""
    found = world.tasks
    protections = (t.protected_until for t in found.values() if t.protected_until > now)
    return min(first(found, _START_AT), first(found, _KILL_AT), min(protections, default=NEVER))


def _stopped(turn: Turn, task: Task) -> None:
    world = turn.world
    world.tasks[task.arn] = replace(
        task,
        status="STOPPED",
        desired="STOPPED",
        stopped=turn.now,
        stopping=min(task.stopping, turn.now),
        start_at=NEVER,
        kill_at=NEVER,
        protected_until=0.0,
    )
    instance = world.container_instances.get(task.container_instance)
    if instance is not None and task.arn in instance.tasks:
        world.container_instances[instance.arn] = replace(
            instance,
            free_cpu=instance.free_cpu + task.definition.cpu,
            free_memory=instance.free_memory + task.definition.memory,
            free_gpus=instance.free_gpus + task.definition.gpus,
            tasks=instance.tasks - {task.arn},
        )
