"""Instances as ECS sees them: registration, draining, deregistration."""

from __future__ import annotations

from dataclasses import replace

from embedded_aws.model import clusters, tasks
from embedded_aws.model import events as e
from embedded_aws.model.things import AgentConfig, ContainerInstance, Instance, Refused
from embedded_aws.model.world import Turn, World

# ECS guide, memory-management: an m4.large of 8 GiB registers 7,985 MiB. The only
# documented figure; guess: other sizes reserve the same share.
REGISTERED_SHARE = 7985 / 8192


def register(turn: Turn, instance: Instance, agent: AgentConfig) -> str:
    """Register with less memory than advertised, less ECS_RESERVED_MEMORY, and its attributes."""
    world = turn.world
    kind = world.machine_types[instance.spec.instance_type]
    memory = int(kind.memory * REGISTERED_SHARE) - agent.reserved_memory
    cpu = kind.vcpus * 1024
    arn = world.arn("container-instance", agent.cluster, world.new_id(32))
    world.container_instances[arn] = ContainerInstance(
        arn=arn,
        cluster=agent.cluster,
        instance_id=instance.id,
        registered=turn.now,
        cpu=cpu,
        memory=memory,
        gpus=kind.gpus,
        attributes={
            "ecs.ami-id": instance.spec.image_id,
            "ecs.availability-zone": instance.spec.availability_zone,
            "ecs.instance-type": instance.spec.instance_type,
            "ecs.os-type": "linux",
            "ecs.cpu-architecture": kind.architecture,
            "ecs.subnet-id": instance.spec.subnet_id,
            **agent.attributes,
        },
        free_cpu=cpu,
        free_memory=memory,
        free_gpus=kind.gpus,
    )
    return arn


def find(world: World, cluster: str, container_instance: str) -> ContainerInstance:
    """Return the container instance of this id or ARN. Raise Refused."""
    name = clusters.check(world, cluster)
    wanted = container_instance.rsplit("/", 1)[-1]
    arn = world.arn("container-instance", name, wanted)
    if arn not in world.container_instances:
        raise Refused(
            "InvalidParameterException", "The referenced container instance was not found."
        )
    return world.container_instances[arn]


def live_tasks(world: World, arn: str) -> frozenset[str]:
    """Return the tasks on a container instance that have not stopped."""
    found = world.container_instances.get(arn)
    return frozenset() if found is None else found.tasks


def set_state(turn: Turn, event: e.SetContainerInstanceState) -> str:
    """Make an instance ACTIVE, or DRAINING: no new tasks (ecs.UpdateContainerInstancesState).

    Return the ARN.
    """
    found = find(turn.world, event.cluster, event.container_instance)
    if event.status not in ("ACTIVE", "DRAINING"):
        raise Refused(
            "InvalidParameterException",
            "Container instance status should be one of [ACTIVE, DRAINING]",
        )
    turn.world.container_instances[found.arn] = replace(found, status=event.status)
    return found.arn


def deregister_by_user(turn: Turn, event: e.DeregisterContainerInstance) -> ContainerInstance:
    """Deregister; with tasks only by force, which ends them (ecs.DeregisterContainerInstance)."""
    found = find(turn.world, event.cluster, event.container_instance)
    if found.tasks and not event.force:
        raise Refused("InvalidParameterException", "Found running tasks on the instance.")
    for arn in found.tasks:
        tasks.gone(turn, arn)
    turn.world.container_instances.pop(found.arn, None)
    return replace(found, status="INACTIVE")


def drain_host(turn: Turn, instance: Instance) -> None:
    """Set an instance to DRAINING, as its own agent does."""
    found = turn.world.container_instances.get(instance.container_instance)
    if found is not None:
        turn.world.container_instances[found.arn] = replace(found, status="DRAINING")


def host_shuts_down(turn: Turn, instance: Instance) -> None:
    """Stop the containers of an instance, as its operating system does; the agent disconnects."""
    found = turn.world.container_instances.get(instance.container_instance)
    if found is None:
        return
    turn.world.container_instances[found.arn] = replace(found, connected=False)
    for arn in found.tasks:
        tasks.host_ends(turn, arn, instance.id)


def host_is_gone(turn: Turn, instance: Instance) -> None:
    """Deregister an instance that is gone (botocore: ecs.DeregisterContainerInstance)."""
    for arn in live_tasks(turn.world, instance.container_instance):
        tasks.gone(turn, arn)
    turn.world.container_instances.pop(instance.container_instance, None)
