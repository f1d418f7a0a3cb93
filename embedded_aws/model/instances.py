"""EC2 instances of a fleet: launch, boot, registration with ECS, interruption, end.

States as in the EC2 guide, ec2-instance-lifecycle.
"""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

from embedded_aws.model import container_instances
from embedded_aws.model import events as e
from embedded_aws.model.fleet_history import record
from embedded_aws.model.things import NEVER, Fleet, Instance, LaunchSpec, Refused, first
from embedded_aws.model.world import Turn, World

_DUE, _REGISTER_AT, _INTERRUPT_AT = map(attrgetter, ("due", "register_at", "interrupt_at"))
DOWN = ("shutting-down", "terminated")


def launch(turn: Turn, fleet: Fleet, spec: LaunchSpec) -> Instance:
    """Launch an instance, which is pending until it has booted."""
    world = turn.world
    instance = Instance(
        id=f"i-{world.new_id()}",
        fleet_id=fleet.id,
        spot_request_id=f"sir-{world.new_id(8)}",
        spec=spec,
        launched=turn.now,
        number=world.counter,
        due=turn.now + _varied(world, world.timings.boot),
    )
    world.instances[instance.id] = instance
    return instance


def terminate(turn: Turn, instance: Instance, code: str, reason: str) -> None:
    """Shut down; the operating system stops the containers (EC2 guide, terminating-instances).

    ECS deregisters the instance by itself (botocore: ecs.DeregisterContainerInstance).
    """
    if instance.state in DOWN:
        return
    timings = turn.world.timings
    turn.world.instances[instance.id] = replace(
        instance,
        state="shutting-down",
        due=turn.now + timings.shutdown,
        down_at=turn.now + timings.shutdown,
        down_by=turn.now + max(timings.shutdown, timings.shutdown_most),
        register_at=NEVER,
        interrupt_at=NEVER,
        reason_code=code,
        reason=reason,
    )
    container_instances.host_shuts_down(turn, instance)


def record_end(turn: Turn, fleet: Fleet, instance: Instance) -> Fleet:
    """Record in the fleet's history that an instance ended."""
    return record(fleet, turn.now, "instanceChange", "terminated", "", instance.id)


def terminate_by_user(turn: Turn, event: e.TerminateInstances) -> list[tuple[str, str]]:
    """Terminate instances: idempotent, and none if one id is wrong (botocore: ec2).

    Return ids and states before.
    """
    world = turn.world
    unknown = [i for i in event.instances if i not in world.instances]
    if unknown:
        raise Refused(
            "InvalidInstanceID.NotFound",
            f"The instance ID{'s' if len(unknown) > 1 else ''} '{', '.join(unknown)}' "
            f"do{'' if len(unknown) > 1 else 'es'} not exist",
        )
    before = []
    for instance_id in event.instances:
        instance = world.instances[instance_id]
        before.append((instance_id, instance.state))
        if instance.state not in DOWN:
            terminate(turn, instance, "Client.UserInitiatedShutdown", "User initiated shutdown")
            _record_end(turn, instance)
    return before


def interrupt(turn: Turn, event: e.InterruptInstance) -> None:
    """Announce that EC2 takes an instance back (EC2 guide, spot-instance-termination-notices).

    With ECS_ENABLE_SPOT_INSTANCE_DRAINING the agent drains it at the notice (ECS guide,
    spot-instance-draining-linux-container).
    """
    world = turn.world
    instance = world.instances[event.instance]
    if instance.state in DOWN or instance.interrupt_at < NEVER:
        return
    world.instances[instance.id] = replace(
        instance, notice_at=turn.now, interrupt_at=turn.now + world.timings.notice
    )
    fleet = world.fleets[instance.fleet_id]
    world.fleets[fleet.id] = record(
        fleet, turn.now, "instanceChange", "termination_notified", "", instance.id
    )
    if instance.spec.agent is not None and instance.spec.agent.spot_draining:
        container_instances.drain_host(turn, instance)


def step(turn: Turn) -> None:
    """Do what instances do by themselves at this moment."""
    now = turn.now
    for instance in [
        i
        for i in turn.world.instances.values()
        if i.due <= now
        or i.register_at <= now
        or i.interrupt_at <= now
        or i.state == "shutting-down"
    ]:
        if instance.state == "pending" and instance.due <= now:
            instance = _run(turn, instance)
        if instance.register_at <= now:
            instance = _register(turn, instance)
        if instance.interrupt_at <= now:
            _take_back(turn, instance)
        elif instance.state == "shutting-down":
            _shut_down(turn, instance)


def next_due(world: World, now: float) -> float:
    """Return when an instance next does something by itself."""
    return min(first(world.instances, when) for when in (_DUE, _REGISTER_AT, _INTERRUPT_AT))


def _run(turn: Turn, instance: Instance) -> Instance:
    world = turn.world
    register_at = NEVER
    if instance.spec.agent is not None:
        register_at = turn.now + _varied(world, world.timings.register)
    instance = replace(instance, state="running", due=NEVER, register_at=register_at)
    world.instances[instance.id] = instance
    return instance


def _shut_down(turn: Turn, instance: Instance) -> None:
    """Terminate once the containers have stopped, or their time is over (guess)."""
    still_stopping = container_instances.live_tasks(turn.world, instance.container_instance)
    over = instance.down_by if still_stopping else instance.down_at
    if over > turn.now:
        turn.world.instances[instance.id] = replace(instance, due=over)
        return
    turn.world.instances[instance.id] = replace(
        instance, state="terminated", due=NEVER, ended=turn.now
    )
    container_instances.host_is_gone(turn, instance)


def _register(turn: Turn, instance: Instance) -> Instance:
    """Register with the agent's cluster; try again while there is none (guess)."""
    agent = instance.spec.agent
    assert agent is not None
    if agent.cluster not in turn.world.clusters:
        at = turn.now + turn.world.timings.retry_register
        instance = replace(instance, register_at=at)
    else:
        arn = container_instances.register(turn, instance, agent)
        instance = replace(instance, register_at=NEVER, container_instance=arn)
    turn.world.instances[instance.id] = instance
    return instance


def _take_back(turn: Turn, instance: Instance) -> None:
    terminate(
        turn,
        instance,
        "Server.SpotInstanceTermination",
        "Server.SpotInstanceTermination: Instance was terminated by Spot",
    )
    _record_end(turn, instance)


def _record_end(turn: Turn, instance: Instance) -> None:
    fleet = turn.world.fleets[instance.fleet_id]
    turn.world.fleets[fleet.id] = record_end(turn, fleet, instance)


def _varied(world: World, seconds: float) -> float:
    jitter = world.timings.jitter
    return seconds * (1 + jitter * (2 * world.chance() - 1)) if jitter else seconds
