"""moto's ECS with the model in it: clusters here, services, tasks and instances in ecs_*.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import moto.ecs.urls as urls
from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse

from embedded_aws.actions import ecs_tags
from embedded_aws.ecs_instances import ContainerInstanceActions
from embedded_aws.ecs_services import ServiceActions
from embedded_aws.ecs_tasks import TaskActions
from embedded_aws.model import World
from embedded_aws.model.events import CreateCluster, DeleteCluster
from embedded_aws.worlds import Worlds


class ECSActions(
    ServiceActions, TaskActions, ContainerInstanceActions, EC2ContainerServiceResponse
):
    """moto's ECS, where a request that the model does not answer stays moto's own."""

    # The model's attributes have AWS's form already; moto would transform them.
    RESPONSE_KEY_PATH_TO_TRANSFORMER: dict[str, Callable[[Any], Any]] = {}

    def create_cluster(self) -> ActionResult:
        """Answer CreateCluster; return an existing one unchanged (guess)."""
        name = self.param("clusterName", "default")
        known = self.ecs_backend.clusters.get(name)
        self.act(CreateCluster(name))
        if known is None or known.status != "ACTIVE":
            super().create_cluster()
        return ActionResult({"cluster": self._cluster(name, self.look(), with_tags=True)})

    def list_clusters(self) -> ActionResult:
        """Answer ListClusters: the active ones."""
        active = [c.arn for c in self.ecs_backend.clusters.values() if c.status == "ACTIVE"]
        page, more = self.page(active, "maxResults", "nextToken", 100)
        return ActionResult({"clusterArns": page, **more})

    def describe_clusters(self) -> ActionResult:
        """Answer DescribeClusters."""
        found, failures = self.ecs_backend.describe_clusters(self.param("clusters", []))
        world = self.look()
        with_tags = "TAGS" in self.param("include", [])
        clusters = [self._cluster(cluster.name, world, with_tags) for cluster in found]
        return ActionResult({"clusters": clusters, "failures": failures})

    def delete_cluster(self) -> ActionResult:
        """Answer DeleteCluster; the model refuses while anything is in it."""
        name = self.param("cluster").rsplit("/", 1)[-1]
        self.act(DeleteCluster(name))
        super().delete_cluster()
        return ActionResult({"cluster": self._cluster(name, self.look(), with_tags=False)})

    def _cluster(self, name: str, world: World, with_tags: bool) -> dict[str, Any]:
        cluster = self.ecs_backend.clusters[name]
        tasks = Counter(t.status for t in world.tasks.values() if t.cluster == name)
        services = [s for s in world.services.values() if s.cluster == name]
        instances = [c for c in world.container_instances.values() if c.cluster == name]
        return {
            "clusterArn": cluster.arn,
            "clusterName": cluster.name,
            "status": cluster.status,
            "registeredContainerInstancesCount": len(instances),
            "runningTasksCount": tasks["RUNNING"],
            "pendingTasksCount": tasks["PENDING"],
            "activeServicesCount": sum(s.status == "ACTIVE" for s in services),
            "statistics": [],
            "settings": cluster.settings or [],
            "capacityProviders": cluster.capacity_providers or [],
            "defaultCapacityProviderStrategy": cluster.default_capacity_provider_strategy or [],
            **({"tags": cluster.tags or []} if with_tags else {}),
        }

    def list_tags_for_resource(self) -> ActionResult:
        """Answer ListTagsForResource: those of services and tasks are in the model."""
        arn = self.param("resourceArn")
        world = self.look()
        found = world.services.get(arn) or world.tasks.get(arn)
        if found is None:
            result: ActionResult = super().list_tags_for_resource()
            return result
        return ActionResult({"tags": ecs_tags(found.tags)})


def install(worlds: Worlds) -> None:
    """Make moto's server use it. Call this before the first request."""
    ECSActions.worlds = worlds
    urls.url_paths = {"{0}/$": ECSActions.dispatch}
