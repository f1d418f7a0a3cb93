"""ECS's tasks and their protection, answered from the model (botocore: ecs)."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import ECSException

from embedded_aws.actions import ECSWorldActions, at, ecs_tags, missing
from embedded_aws.model import Refused, World
from embedded_aws.model.container_instances import find as find_instance
from embedded_aws.model.events import ProtectTask, StopTaskRequest
from embedded_aws.model.services import find as find_service
from embedded_aws.model.tasks import is_protected
from embedded_aws.model.things import NEVER, Task

MOST_DESCRIBED = 100  # botocore: ecs.DescribeTasks
FAILURES = ("MISSING", "TASK_NOT_VALID")  # ECS guide, api_failures_messages


class TaskActions(ECSWorldActions):
    """A mixin for moto's ECS."""

    def list_tasks(self) -> ActionResult:
        """Answer ListTasks: those meant to run, unless `desiredStatus` is STOPPED."""
        world = self.look()
        cluster = self.cluster_name(world)
        wanted = self.param("desiredStatus", "RUNNING")
        tasks = [t for t in world.tasks.values() if t.cluster == cluster and t.desired == wanted]
        if self.param("serviceName"):
            with self.refusals():
                service = find_service(world, cluster, self.param("serviceName"))
            tasks = [t for t in tasks if t.service == service.arn]
        if self.param("containerInstance"):
            with self.refusals():
                host = find_instance(world, cluster, self.param("containerInstance"))
            tasks = [t for t in tasks if t.container_instance == host.arn]
        if self.param("family"):
            tasks = [t for t in tasks if t.definition.family == self.param("family")]
        page, more = self.page([t.arn for t in tasks], "maxResults", "nextToken", 100)
        return ActionResult({"taskArns": page, **more})

    def describe_tasks(self) -> ActionResult:
        """Answer DescribeTasks."""
        world = self.look()
        arns = self.arns(world, "task", "tasks", MOST_DESCRIBED)
        with_tags = "TAGS" in self.param("include", [])
        tasks = [_describe(world, world.tasks[a], with_tags) for a in arns if a in world.tasks]
        return ActionResult({"tasks": tasks, "failures": missing(arns, world.tasks)})

    def stop_task(self) -> ActionResult:
        """Answer StopTask."""
        cluster = self.param("cluster", "default")
        reason = self.param("reason", "Task stopped by user")
        arn = self.act(StopTaskRequest(cluster, self.param("task"), reason))
        world = self.look()
        return ActionResult({"task": _describe(world, world.tasks[arn], with_tags=False)})

    def run_task(self) -> ActionResult:
        """Refuse RunTask and StartTask: the model has tasks of services only."""
        raise ECSException(
            "UnsupportedFeatureException", "The AWS on this computer has tasks of services only."
        )

    start_task = run_task

    def update_task_protection(self) -> ActionResult:
        """Answer UpdateTaskProtection: each task succeeds or fails by itself."""
        done, failures = [], []
        world = self.look()
        cluster = self.cluster_name(world)
        enabled = bool(self.param("protectionEnabled"))
        for task in self.param("tasks", []):
            arn = world.arn("task", cluster, task.rsplit("/", 1)[-1])
            event = ProtectTask(cluster, arn, enabled, self.param("expiresInMinutes"))
            try:
                until = self.worlds.act(self.current_account, self.region, event)
            except Refused as refused:
                if refused.code not in FAILURES:
                    raise ECSException(refused.code, refused.message) from None
                failures.append({"arn": arn, "reason": refused.code, "detail": refused.message})
                continue
            done.append(_protection(arn, enabled, until))
        return ActionResult({"protectedTasks": done, "failures": failures})

    def get_task_protection(self) -> ActionResult:
        """Answer GetTaskProtection, of the named tasks or all of the cluster."""
        world = self.look()
        cluster = self.cluster_name(world)
        named = [world.arn("task", cluster, t.rsplit("/", 1)[-1]) for t in self.param("tasks", [])]
        every = [t.arn for t in world.tasks.values() if t.cluster == cluster]
        done, failures = [], []
        for arn in named or every:
            task = world.tasks.get(arn)
            if task is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            elif task.desired == "STOPPED" and named:
                failures.append({"arn": arn, "reason": "TASK_NOT_VALID"})
            elif task.desired == "RUNNING":
                protected = is_protected(task, self.worlds.now())
                done.append(_protection(arn, protected, task.protected_until))
        return ActionResult({"protectedTasks": done, "failures": failures})


def _protection(arn: str, enabled: bool, until: float) -> dict[str, Any]:
    expires = {"expirationDate": at(until)} if enabled else {}
    return {"taskArn": arn, "protectionEnabled": enabled, **expires}


def _describe(world: World, task: Task, with_tags: bool) -> dict[str, Any]:
    host = world.container_instances.get(task.container_instance)
    service = world.services.get(task.service)
    times = {
        "createdAt": task.created,
        "startedAt": task.started,
        "stoppingAt": task.stopping,
        "stoppedAt": task.stopped,
        "executionStoppedAt": task.stopped if task.exit_code is not None else NEVER,
    }
    ended = {"stopCode": task.stop_code, "stoppedReason": task.reason} if task.stop_code else {}
    zone = {"availabilityZone": host.attributes["ecs.availability-zone"]} if host else {}
    return {
        "taskArn": task.arn,
        "clusterArn": world.arn("cluster", task.cluster),
        "taskDefinitionArn": task.definition.arn,
        "containerInstanceArn": task.container_instance,
        "group": f"service:{service.name}" if service else "",
        "startedBy": task.deployment,
        "lastStatus": task.status,
        "desiredStatus": task.desired,
        "launchType": "EC2",
        "cpu": str(task.definition.cpu),
        "memory": str(task.definition.memory),
        "connectivity": "CONNECTED",
        "healthStatus": "UNKNOWN",
        "containers": [
            _container(task, c) for c in task.definition.details["containerDefinitions"]
        ],
        **{name: at(value) for name, value in times.items() if value != NEVER},
        **ended,
        **zone,
        **({"tags": ecs_tags(task.tags)} if with_tags else {}),
    }


def _container(task: Task, container: Any) -> dict[str, Any]:
    return {
        "containerArn": task.arn.replace(":task/", ":container/"),
        "taskArn": task.arn,
        "name": container["name"],
        "image": container.get("image", ""),
        "lastStatus": task.status,
        **({} if task.exit_code is None else {"exitCode": task.exit_code}),
        **({"reason": task.container_reason} if task.container_reason else {}),
    }
