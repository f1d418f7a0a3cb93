"""The history of a fleet (botocore: ec2.HistoryRecord, ec2.EventInformation)."""

from __future__ import annotations

from dataclasses import replace

from embedded_aws.model.things import Fleet, HistoryRecord
from embedded_aws.model.world import World

KEPT = 48 * 3600  # botocore: ec2.DescribeSpotFleetRequestHistory


def record(
    fleet: Fleet,
    at: float,
    event_type: str,
    sub_type: str,
    description: str = "",
    instance_id: str = "",
) -> Fleet:
    """Return the fleet with one more record."""
    entry = HistoryRecord(at, event_type, sub_type, description, instance_id)
    return replace(fleet, history=(*fleet.history, entry))


def shown(world: World, fleet: Fleet, since: float, now: float) -> list[HistoryRecord]:
    """Return what DescribeSpotFleetRequestHistory shows: up to 30 s late, kept for 48 h."""
    newest = now - world.timings.history_delay
    return [r for r in fleet.history if max(since, now - KEPT) <= r.at <= newest]
