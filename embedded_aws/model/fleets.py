"""Spot fleets: request, modify, cancel, expire, keep up the target (botocore: RequestSpotFleet)."""

from __future__ import annotations

from dataclasses import replace

from embedded_aws.model import events as e
from embedded_aws.model import instances, pools
from embedded_aws.model.fleet_history import record
from embedded_aws.model.things import NEVER, Fleet, Instance, Refused
from embedded_aws.model.world import Turn, World

LIVE = ("submitted", "active", "modifying")
CANCELLED = ("cancelled", "cancelled_running", "cancelled_terminating")


def request(turn: Turn, event: e.RequestFleet) -> str:
    """Request a fleet; the same client token returns the same fleet (EC2 guide, idempotency)."""
    world = turn.world
    known = world.tokens.get(event.client_token) if event.client_token else None
    if known is not None:
        if known in world.fleets and world.fleets[known].config != event.config:
            raise Refused(
                "IdempotentParameterMismatch",
                "The request uses the same client token as a previous, but non-identical request.",
            )
        return known
    if event.target < 0 or (event.target == 0 and not event.maintain):
        raise Refused("InvalidTargetCapacity", "The target capacity must be at least 1.")
    fleet = Fleet(
        id=f"sfr-{_dashed(world.new_id(32))}",
        created=turn.now,
        due=turn.now + world.timings.fleet_active,
        **vars(event),
    )
    if event.client_token:
        world.tokens[event.client_token] = fleet.id
    world.fleets[fleet.id] = record(fleet, turn.now, "fleetRequestChange", "submitted")
    return fleet.id


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def modify(turn: Turn, event: e.ModifyFleet) -> None:
    """Modify a fleet of type maintain, only while active (botocore: ec2.ModifySpotFleetRequest)."""
    fleet = find(turn.world, event.fleet)
    if not fleet.maintain or fleet.state != "active":
        raise Refused(
            "FleetNotInModifiableState",
            f"The Spot Fleet request {fleet.id} cannot be modified: its type is "
            f"{'maintain' if fleet.maintain else 'request'}, its state {fleet.state}.",
        )
    if event.target is not None and event.target < 0:
        raise Refused("InvalidTargetCapacity", "The target capacity must not be negative.")
    fleet = replace(
        fleet,
        target=fleet.target if event.target is None else event.target,
        keep_excess=fleet.keep_excess if event.keep_excess is None else event.keep_excess,
        state="modifying",
        due=turn.now + turn.world.timings.modify,
    )
    description = f"targetCapacity set to {fleet.target}"
    turn.world.fleets[fleet.id] = record(
        fleet, turn.now, "fleetRequestChange", "modify_in_progress", description
    )


def cancel(turn: Turn, event: e.CancelFleet) -> tuple[str, str]:
    """Stop launches, and end the instances if requested (botocore: ec2.CancelSpotFleetRequests).

    Return the state before and after.
    """
    fleet = find(turn.world, event.fleet)
    before = fleet.state
    if before in CANCELLED and not (before == "cancelled_running" and event.terminate):
        return before, before
    _end(turn, fleet, event.terminate)
    return before, turn.world.fleets[fleet.id].state


def capacity_changed(turn: Turn) -> None:
    """Let fleets that wait for capacity try at once."""
    for fleet in list(turn.world.fleets.values()):
        if fleet.state in LIVE and fleet.next_launch < NEVER:
            turn.world.fleets[fleet.id] = replace(fleet, next_launch=turn.now)


def step(turn: Turn) -> None:
    """Do what fleets do by themselves at this moment."""
    members = pools.members(turn.world)
    for fleet in list(turn.world.fleets.values()):
        if fleet.state in LIVE:
            _step_live(turn, fleet, members.get(fleet.id, []))
        elif fleet.state in CANCELLED and fleet.ended == NEVER:
            _step_ending(turn, fleet, members.get(fleet.id, []))


def next_due(world: World, now: float) -> float:
    """Return when a fleet next does something by itself."""
    return min(
        (_due(fleet) for fleet in world.fleets.values() if fleet.state in LIVE), default=NEVER
    )


def _due(fleet: Fleet) -> float:
    """Let a launch wait while the fleet is being modified (guess)."""
    launch = fleet.next_launch if fleet.state == "active" else NEVER
    return min(fleet.due, launch, fleet.valid_until)


def find(world: World, fleet_id: str) -> Fleet:
    """Return the fleet of this id. Raise Refused (EC2 API error codes)."""
    if fleet_id not in world.fleets:
        raise Refused(
            "InvalidSpotFleetRequestId.NotFound",
            f"The spot fleet request ID '{fleet_id}' does not exist",
        )
    return world.fleets[fleet_id]


def _step_live(turn: Turn, fleet: Fleet, members: list[Instance]) -> None:
    world, now = turn.world, turn.now
    if fleet.valid_until <= now:
        world.fleets[fleet.id] = record(fleet, now, "fleetRequestChange", "expired")
        _end(turn, world.fleets[fleet.id], fleet.terminate_at_expiry)
        return
    if fleet.due <= now:
        sub_type = "active" if fleet.state == "submitted" else "modify_succeeded"
        fleet = replace(fleet, state="active", due=NEVER)
        fleet = record(fleet, now, "fleetRequestChange", sub_type)
    if fleet.state == "active":
        fleet = _towards_target(turn, fleet, members)
    world.fleets[fleet.id] = fleet


def _towards_target(turn: Turn, fleet: Fleet, members: list[Instance]) -> Fleet:
    weight = sum(i.spec.weight for i in members)
    if weight >= fleet.target:
        fleet = replace(fleet, next_launch=NEVER, last_problem="", placed=True)
        if weight > fleet.target and fleet.maintain and not fleet.keep_excess:
            return _shed(turn, fleet, members, weight)
        return fleet
    if fleet.placed and not fleet.maintain:
        return fleet
    if fleet.next_launch == NEVER:
        return replace(fleet, next_launch=turn.now + turn.world.timings.fulfil)
    if fleet.next_launch > turn.now:
        return fleet
    return pools.launch(turn, fleet, members)


def _shed(turn: Turn, fleet: Fleet, members: list[Instance], weight: float) -> Fleet:
    """End what is over the target: first the most expensive per unit, as lowestPrice does.

    botocore: ec2.ModifySpotFleetRequest; guess: other strategies do the same, the youngest first.
    """
    types = turn.world.machine_types

    def order(instance: Instance) -> tuple[float, int]:
        price = types[instance.spec.instance_type].spot_price
        return -price / instance.spec.weight, -instance.number

    for instance in sorted(members, key=order):
        if weight - instance.spec.weight < fleet.target:
            continue
        weight -= instance.spec.weight
        instances.terminate(turn, instance, "Server.SpotFleetScaleIn", "Scaled in by the fleet")
        fleet = instances.record_end(turn, fleet, instance)
    return fleet


def _end(turn: Turn, fleet: Fleet, terminate: bool) -> None:
    """End a fleet; it is `cancelled` once its last instance ended (botocore: ec2.BatchState)."""
    state = "cancelled_terminating" if terminate else "cancelled_running"
    fleet = replace(fleet, state=state, due=NEVER, next_launch=NEVER)
    fleet = record(fleet, turn.now, "fleetRequestChange", state)
    if terminate:
        for instance in pools.members(turn.world).get(fleet.id, []):
            instances.terminate(turn, instance, "Server.SpotInstanceTermination", "Fleet cancelled")
            fleet = instances.record_end(turn, fleet, instance)
    turn.world.fleets[fleet.id] = fleet


def _step_ending(turn: Turn, fleet: Fleet, members: list[Instance]) -> None:
    if members or any(
        i.fleet_id == fleet.id and i.state == "shutting-down" for i in turn.world.instances.values()
    ):
        return
    fleet = replace(fleet, state="cancelled", ended=turn.now)
    turn.world.fleets[fleet.id] = record(fleet, turn.now, "fleetRequestChange", "cancelled")


def activity(world: World, fleet: Fleet) -> str:
    """Return the ActivityStatus (botocore: ec2.SpotFleetRequestConfig.ActivityStatus)."""
    weight = fulfilled(world, fleet)
    if fleet.last_problem and weight < fleet.target:
        return "error"
    if fleet.state in CANCELLED:
        return "pending_termination" if weight else "fulfilled"
    if weight < fleet.target:
        return "pending_fulfillment"
    return "pending_termination" if weight > fleet.target and not fleet.keep_excess else "fulfilled"


def fulfilled(world: World, fleet: Fleet) -> float:
    """Return the FulfilledCapacity: units that are pending or running."""
    return sum(i.spec.weight for i in pools.members(world).get(fleet.id, []))
