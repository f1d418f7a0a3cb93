"""ECS's container instances, answered from the model (botocore: ecs)."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import ECSException

from embedded_aws.actions import ECSWorldActions, at, missing
from embedded_aws.model import World
from embedded_aws.model.events import DeregisterContainerInstance, SetContainerInstanceState
from embedded_aws.model.placement import parse
from embedded_aws.model.things import ContainerInstance

MOST_DESCRIBED = 100  # botocore: ecs.DescribeContainerInstances
MOST_UPDATED = 10  # botocore: ecs.UpdateContainerInstancesState


class ContainerInstanceActions(ECSWorldActions):
    """A mixin for moto's ECS."""

    def list_container_instances(self) -> ActionResult:
        """Answer ListContainerInstances, by status and by a filter in the query language."""
        world = self.look()
        cluster = self.cluster_name(world)
        status = self.param("status")
        found = [
            c
            for c in world.container_instances.values()
            if c.cluster == cluster and status in (None, c.status)
        ]
        if self.param("filter"):
            with self.refusals():
                test = parse(self.param("filter"))
            found = [c for c in found if test(c)]
        page, more = self.page([c.arn for c in found], "maxResults", "nextToken", 100)
        return ActionResult({"containerInstanceArns": page, **more})

    def describe_container_instances(self) -> ActionResult:
        """Answer DescribeContainerInstances."""
        world = self.look()
        arns = self.arns(world, "container-instance", "containerInstances", MOST_DESCRIBED)
        known = world.container_instances
        found = [_describe(world, known[arn]) for arn in arns if arn in known]
        return ActionResult({"containerInstances": found, "failures": missing(arns, known)})

    def update_container_instances_state(self) -> ActionResult:
        """Answer UpdateContainerInstancesState."""
        world = self.look()
        arns = self.arns(world, "container-instance", "containerInstances", MOST_UPDATED)
        failures = missing(arns, world.container_instances)
        cluster, status = self.cluster_name(world), self.param("status")
        for arn in arns:
            if arn in world.container_instances:
                self.act(SetContainerInstanceState(cluster, arn, status))
        world = self.look()
        known = world.container_instances
        changed = [_describe(world, known[arn]) for arn in arns if arn in known]
        return ActionResult({"containerInstances": changed, "failures": failures})

    def deregister_container_instance(self) -> ActionResult:
        """Answer DeregisterContainerInstance."""
        wanted, force = self.param("containerInstance"), bool(self.param("force", False))
        cluster = self.param("cluster", "default")
        gone = self.act(DeregisterContainerInstance(cluster, wanted, force))
        return ActionResult({"containerInstance": _describe(self.look(), gone)})

    def register_container_instance(self) -> ActionResult:
        """Refuse RegisterContainerInstance: it is for agents, and the model has its own."""
        raise ECSException(
            "UnsupportedFeatureException", "Instances register themselves on this computer."
        )


def _describe(world: World, found: ContainerInstance) -> dict[str, Any]:
    statuses = [world.tasks[arn].status for arn in found.tasks if arn in world.tasks]
    return {
        "containerInstanceArn": found.arn,
        "ec2InstanceId": found.instance_id,
        "status": found.status,
        "agentConnected": found.connected,
        "runningTasksCount": sum(s in ("RUNNING", "STOPPING") for s in statuses),
        "pendingTasksCount": statuses.count("PENDING"),
        "registeredAt": at(found.registered),
        "registeredResources": _resources(found.cpu, found.memory, found.gpus),
        "remainingResources": _resources(found.free_cpu, found.free_memory, found.free_gpus),
        "attributes": [{"name": name, "value": value} for name, value in found.attributes.items()],
        "attachments": [],
        "tags": [],
        "version": len(found.tasks),
        "versionInfo": {"agentVersion": "1.0.0", "dockerVersion": "DockerVersion: 25.0.0"},
    }


def _resources(cpu: int, memory: int, gpus: int) -> list[dict[str, Any]]:
    gpu_ids = [f"GPU-{number}" for number in range(gpus)]
    return [
        {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
        {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22", "2375", "2376", "51678"]},
        *([{"name": "GPU", "type": "STRINGSET", "stringSetValue": gpu_ids}] if gpus else []),
    ]
