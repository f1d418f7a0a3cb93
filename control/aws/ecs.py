"""ECS: cluster, service, containers and task definitions of a run."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from control.aws import tags
from control.aws.waiting import Wait, until_accepted
from control.config import Config
from control.explain import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

    from control.model import Run

_DIGEST_TAG = "distributed-something:digest"
# Spot gives two minutes; what is left is for the agent (aws-facts: ECS stop).
STOP_TIMEOUT_SECONDS = 110


def container_definition(config: Config, environment: dict[str, str]) -> dict[str, Any]:
    """Return the container of a task. Never privileged: a mount needs a device, a capability."""
    app = config.APP_NAME
    definition: dict[str, Any] = {
        "name": app,
        "image": config.DOCKERHUB_TAG,
        "cpu": config.CPU_SHARES,
        "memory": config.MEMORY,
        "essential": True,
        "stopTimeout": STOP_TIMEOUT_SECONDS,
        "environment": [{"name": k, "value": v} for k, v in sorted(environment.items())],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": config.LOG_GROUP_NAME,
                "awslogs-region": config.AWS_REGION,
                "awslogs-stream-prefix": app,
                # A slow CloudWatch must not stop the program that writes to stdout.
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            },
        },
    }
    if not config.DOWNLOAD_FILES:
        device = {"hostPath": "/dev/fuse", "containerPath": "/dev/fuse"}
        definition["linuxParameters"] = {
            "capabilities": {"add": ["SYS_ADMIN"]},
            "devices": [{**device, "permissions": ["read", "write", "mknod"]}],
        }
    if config.GPUS_PER_TASK:
        gpus = str(config.GPUS_PER_TASK)
        definition["resourceRequirements"] = [{"type": "GPU", "value": gpus}]
    return definition


def register_task_definition(
    ecs: ECSClient,
    run: Run,
    container: dict[str, Any],
    task_role_arn: str,
    execution_role_arn: str = "",
) -> str:
    """Register the task definition and return its ARN, that of the newest one if it is the same.

    The newest of the family, not the one in run.json: an interrupted setup may have registered one
    without recording it.
    """
    family = run.app_name
    content = {"containerDefinitions": [container], "taskRoleArn": task_role_arn}
    if execution_role_arn:
        content["executionRoleArn"] = execution_role_arn
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
    for newest in active_task_definitions(ecs, run, most=1):
        present = ecs.describe_task_definition(taskDefinition=newest, include=["TAGS"])
        known = {tag["key"]: tag["value"] for tag in present.get("tags", [])}
        if known.get(_DIGEST_TAG) == digest:
            return newest
    answer = ecs.register_task_definition(
        family=family,
        requiresCompatibilities=["EC2"],
        tags=[*tags.of_ecs(run), {"key": _DIGEST_TAG, "value": digest}],
        **content,  # type: ignore[arg-type]
    )
    return answer["taskDefinition"]["taskDefinitionArn"]


def active_task_definitions(ecs: ECSClient, run: Run, most: int = 100) -> list[str]:
    """Return the active task definitions of the app, newest first, up to 100 (API reference)."""
    return ecs.list_task_definitions(
        familyPrefix=run.app_name, status="ACTIVE", sort="DESC", maxResults=most
    )["taskDefinitionArns"]


def task_definitions_of_run(ecs: ECSClient, run: Run) -> list[str]:
    """Return the active task definitions that setups of this run registered."""
    return [arn for arn in active_task_definitions(ecs, run) if _is_of_run(ecs, run, arn)]


def _is_of_run(ecs: ECSClient, run: Run, arn: str) -> bool:
    described = ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
    return {"key": tags.RUN_TAG, "value": run.run_id} in described.get("tags", [])


def deregister_task_definitions(ecs: ECSClient, run: Run) -> int:
    """Mark the run's task definitions as no longer to be used, and return how many there were.

    Running tasks are not affected.
    """
    found = task_definitions_of_run(ecs, run)
    for arn in found:
        ecs.deregister_task_definition(taskDefinition=arn)
    return len(found)


# Set on the machines by their user data; the service places tasks on machines that carry it.
APP_ATTRIBUTE = "distributed-something.app"
# DescribeTasks and DescribeContainerInstances take 100 ARNs a call (API reference).
PAGE = 100
# A deleted service's containers have the stop timeout; the rest is ECS's own time.
_DRAINING_SECONDS = 180


@dataclass(frozen=True)
class ServiceState:
    """The numbers of tasks of a service, and its last event in ECS's words."""

    desired: int
    running: int
    pending: int
    last_word: str = ""


def exists(ecs: ECSClient, name: str) -> bool:
    """Return whether there is an active cluster of this name."""
    found = ecs.describe_clusters(clusters=[name])["clusters"]
    return any(cluster["status"] == "ACTIVE" for cluster in found)


def ensure_cluster(ecs: ECSClient, run: Run) -> None:
    """Make the cluster; one that exists is left as it is: it may be shared."""
    if not exists(ecs, run.cluster):
        ecs.create_cluster(clusterName=run.cluster, tags=tags.of_ecs(run))


def ensure_service(
    ecs: ECSClient,
    run: Run,
    task_definition: str,
    wait: Wait = time.sleep,
    pause: float = 2.0,
) -> None:
    """Make the service for no tasks, or give an existing one the task definition.

    Busy tasks of the older definition finish first: they protect themselves while they work.
    Wait up to three minutes for a service of this name that is being deleted.
    """
    state = service_state(ecs, run)
    # With 0 and 100 percent a task is replaced in its place: no spare machine is needed.
    deployment: Any = {"minimumHealthyPercent": 0, "maximumPercent": 100}
    if state is not None:
        ecs.update_service(
            cluster=run.cluster,
            service=run.service,
            taskDefinition=task_definition,
            deploymentConfiguration=deployment,
        )
        return
    wanted: Any = {
        "cluster": run.cluster,
        "serviceName": run.service,
        "taskDefinition": task_definition,
        "desiredCount": 0,
        "launchType": "EC2",
        "deploymentConfiguration": deployment,
        "availabilityZoneRebalancing": "DISABLED",
        "placementConstraints": [
            {"type": "memberOf", "expression": f"attribute:{APP_ATTRIBUTE} == {run.app_name}"}
        ],
        "placementStrategy": [{"type": "binpack", "field": "memory"}],
        "enableECSManagedTags": True,
        "propagateTags": "SERVICE",
        "tags": tags.of_ecs(run),
    }
    # The name is taken until the last container of the earlier service has stopped.
    until_accepted(
        lambda: ecs.create_service(**wanted),
        lambda error: aws_errors.symptom(error) == "service draining",
        wait,
        _DRAINING_SECONDS,
        pause,
    )


def service_state(ecs: ECSClient, run: Run) -> ServiceState | None:
    """Return the state of the service; None if there is no active service or no cluster."""
    try:
        found = ecs.describe_services(cluster=run.cluster, services=[run.service])["services"]
    except ecs.exceptions.ClusterNotFoundException:
        return None
    for service in found:
        if service["status"] == "ACTIVE":
            events = service.get("events", [])
            return ServiceState(
                service["desiredCount"],
                service["runningCount"],
                service["pendingCount"],
                events[0]["message"] if events else "",
            )
    return None


def events(ecs: ECSClient, run: Run, most: int) -> list[str]:
    """Return the events of the service, the newest first."""
    found = ecs.describe_services(cluster=run.cluster, services=[run.service])["services"]
    return [event["message"] for service in found for event in service["events"][:most]]


def set_desired(ecs: ECSClient, run: Run, tasks: int) -> None:
    """Set how many tasks the service keeps running."""
    ecs.update_service(cluster=run.cluster, service=run.service, desiredCount=tasks)


def tasks(ecs: ECSClient, run: Run) -> Iterator[dict[str, Any]]:
    """Yield every task of the service that runs or starts."""
    pages = ecs.get_paginator("list_tasks").paginate(cluster=run.cluster, serviceName=run.service)
    for page in pages:
        arns = page["taskArns"]
        if arns:
            yield from ecs.describe_tasks(cluster=run.cluster, tasks=arns)["tasks"]  # type: ignore[misc]


def why_stopped(ecs: ECSClient, run: Run, since: float) -> list[tuple[str, str, int | None]]:
    """Return why tasks of the service ended by themselves.

    As (reason, container instance, exit code of the container if it ran).

    Up to 100, and only those made after `since`: ECS keeps a stopped task for about an hour (ECS
    guide, stopped-task-errors), and earlier ones may have ended for a reason that was fixed since.
    Tasks that were stopped are left out, and those that ended with exit code 0.
    """
    arns = ecs.list_tasks(
        cluster=run.cluster, serviceName=run.service, desiredStatus="STOPPED", maxResults=PAGE
    )["taskArns"]
    if not arns:
        return []
    stopped = ecs.describe_tasks(cluster=run.cluster, tasks=arns)["tasks"]
    ends = [(task, _own_end(task)) for task in stopped if task["createdAt"].timestamp() >= since]
    return [(why, task.get("containerInstanceArn", ""), code) for task, (why, code) in ends if why]


def _own_end(task: Any) -> tuple[str, int | None]:
    code: str = task.get("stopCode", "")
    if code == "TaskFailedToStart":
        return str(task.get("stoppedReason", code)), None
    exited = [container for container in task["containers"] if container.get("exitCode")]
    if code != "EssentialContainerExited" or not exited:
        return "", None
    exit_code = exited[0]["exitCode"]
    # For example OutOfMemoryError, above MEMORY.
    reason = f" ({exited[0]['reason']})" if exited[0].get("reason") else ""
    return f"the container exited with code {exit_code}{reason}", exit_code


def protected(ecs: ECSClient, run: Run, arns: list[str]) -> set[str]:
    """Return which tasks are busy: their workers protect them from scale-in."""
    busy = set()
    for start in range(0, len(arns), PAGE):
        answer = ecs.get_task_protection(cluster=run.cluster, tasks=arns[start : start + PAGE])
        busy |= {t["taskArn"] for t in answer["protectedTasks"] if t.get("protectionEnabled")}
    return busy


def at_work(ecs: ECSClient, run: Run) -> set[str]:
    """Return the container instances on which a task is busy."""
    on = {task["taskArn"]: task.get("containerInstanceArn", "") for task in tasks(ecs, run)}
    return {on[arn] for arn in protected(ecs, run, list(on))}


def machines(ecs: ECSClient, run: Run) -> dict[str, dict[str, Any]]:
    """Return the container instances of this app by EC2 instance id."""
    pages = ecs.get_paginator("list_container_instances").paginate(
        cluster=run.cluster, filter=f"attribute:{APP_ATTRIBUTE} == {run.app_name}"
    )
    found: dict[str, dict[str, Any]] = {}
    for page in pages:
        arns = page["containerInstanceArns"]
        if arns:
            answer = ecs.describe_container_instances(cluster=run.cluster, containerInstances=arns)
            found |= {m["ec2InstanceId"]: dict(m) for m in answer["containerInstances"]}
    return found


def drain(ecs: ECSClient, run: Run, container_instances: list[str]) -> None:
    """Let ECS place no more tasks on these machines."""
    # UpdateContainerInstancesState takes 10 a call (API reference).
    for start in range(0, len(container_instances), 10):
        ecs.update_container_instances_state(
            cluster=run.cluster,
            containerInstances=container_instances[start : start + 10],
            status="DRAINING",
        )


def delete_service(ecs: ECSClient, run: Run) -> bool:
    """End the service and its tasks; return whether there was one."""
    if service_state(ecs, run) is None:
        return False
    gone = ecs.exceptions.ServiceNotActiveException, ecs.exceptions.ServiceNotFoundException
    try:
        set_desired(ecs, run, 0)
        ecs.delete_service(cluster=run.cluster, service=run.service, force=True)
    except gone:
        return False  # another monitor has ended it in the meantime
    return True


def forget_machines(ecs: ECSClient, run: Run) -> None:
    """Remove the app's machines, which have ended, from the cluster.

    ECS itself notices their end only after minutes, and deletes no cluster before.
    """
    if not exists(ecs, run.cluster):
        return
    for machine in machines(ecs, run).values():
        try:
            ecs.deregister_container_instance(
                cluster=run.cluster,
                containerInstance=machine["containerInstanceArn"],
                force=True,
            )
        except ecs.exceptions.InvalidParameterException:
            continue  # ECS has noticed it in the meantime


def delete_if_unused(ecs: ECSClient, name: str) -> bool:
    """Delete the cluster if it has no service, machine or task; return whether it is gone."""
    found = [
        c for c in ecs.describe_clusters(clusters=[name])["clusters"] if c["status"] == "ACTIVE"
    ]
    if not found:
        return True
    held = found[0]
    counted = (
        held["activeServicesCount"],
        held["registeredContainerInstancesCount"],
        held["runningTasksCount"],
        held["pendingTasksCount"],
    )
    if any(counted):
        return False
    # DeleteCluster checks newer data than DescribeClusters returns (botocore: its errors).
    used = (
        ecs.exceptions.ClusterContainsServicesException,
        ecs.exceptions.ClusterContainsContainerInstancesException,
        ecs.exceptions.ClusterContainsTasksException,
        ecs.exceptions.UpdateInProgressException,
    )
    try:
        ecs.delete_cluster(cluster=name)
    except used:
        return False
    return True
