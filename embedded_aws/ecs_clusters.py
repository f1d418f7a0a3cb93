"""ECS's clusters: moto's, with the model's counts and refusals (botocore: ecs)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from moto.core.responses import ActionResult

from embedded_aws.ecs_actions import ECSWorldActions
from embedded_aws.model import World
from embedded_aws.model.events import CreateCluster, DeleteCluster


class ClusterActions(ECSWorldActions):
    """Mixed into moto's ECS."""

    def create_cluster(self) -> ActionResult:
        """CreateCluster: one that is there already is given back as it is."""
        name = self.param("clusterName", "default")
        known = self.ecs_backend.clusters.get(name)
        self.act(CreateCluster(name))
        if known is None or known.status != "ACTIVE":
            super().create_cluster()  # type: ignore[misc]
        return ActionResult({"cluster": self._cluster(name, self.look(), with_tags=True)})

    def list_clusters(self) -> ActionResult:
        """ListClusters: the active ones."""
        active = [c.arn for c in self.ecs_backend.clusters.values() if c.status == "ACTIVE"]
        page, more = self.page(active, "maxResults", "nextToken", 100)
        return ActionResult({"clusterArns": page, **more})

    def describe_clusters(self) -> ActionResult:
        """DescribeClusters."""
        found, failures = self.ecs_backend.describe_clusters(self.param("clusters", []))
        world = self.look()
        with_tags = "TAGS" in self.param("include", [])
        clusters = [self._cluster(cluster.name, world, with_tags) for cluster in found]
        return ActionResult({"clusters": clusters, "failures": failures})

    def delete_cluster(self) -> ActionResult:
        """DeleteCluster: refused while anything is in it."""
        name = self.param("cluster").rsplit("/", 1)[-1]
        self.act(DeleteCluster(name))
        super().delete_cluster()  # type: ignore[misc]
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
