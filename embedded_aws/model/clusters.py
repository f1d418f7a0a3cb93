"""ECS clusters, which cannot be deleted while in use."""

from __future__ import annotations

from embedded_aws.model import events as e
from embedded_aws.model.things import Refused
from embedded_aws.model.world import Turn, World


def check(world: World, cluster: str) -> str:
    """Return the name in a cluster's name or ARN. Raise Refused if no cluster has it."""
    name = cluster.rsplit("/", 1)[-1]
    if name not in world.clusters:
        raise Refused("ClusterNotFoundException", "Cluster not found.")
    return name


def create(turn: Turn, event: e.CreateCluster) -> None:
    """Create a cluster; an existing one stays as it is (guess)."""
    turn.world.clusters.setdefault(event.name, turn.now)


def delete(turn: Turn, event: e.DeleteCluster) -> None:
    """Delete a cluster; refuse while it holds anything (botocore: ecs.DeleteCluster)."""
    world = turn.world
    name = check(world, event.name)
    if any(c.cluster == name for c in world.container_instances.values()):
        raise Refused(
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        )
    if any(s.cluster == name and s.status == "ACTIVE" for s in world.services.values()):
        raise Refused(
            "ClusterContainsServicesException",
            "The Cluster cannot be deleted while Services are active.",
        )
    if any(t.cluster == name and t.status != "STOPPED" for t in world.tasks.values()):
        raise Refused(
            "ClusterContainsTasksException",
            "The Cluster cannot be deleted while Tasks are active.",
        )
    del world.clusters[name]
