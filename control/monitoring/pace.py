"""The pace of the monitor: how often it looks, and how long it waits before it acts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """The times after which the monitor believes what it sees, in seconds."""

    poll: float = 60
    # SQS's counts may lag by a minute and more (aws-facts: GetQueueAttributes).
    settle: float = 180
    spare: float = 60
    register: float = 600
    # Records are counted by listings of 1,000; at most one listing in this time.
    listing: float = 3
    # A clock may jump, so a wait must also last for this number of readings.
    settle_readings: int = 3
    register_readings: int = 5
    # How long containers may run and accept none of the waiting jobs, if they log why.
    refuse: float = 300
    # After this many machines that never registered, more would not either.
    give_up_machines: int = 3
    # After this many containers that ended by themselves before any job was done, likewise.
    give_up_containers: int = 5
    # How long to wait for AWS to answer: a laptop may be without network for hours.
    patience: float = 24 * 3600
    # Spot prices move over hours (EC2 guide, spot pricing).
    prices: float = 900
    # How long `monitor --cheapest` lets the fleet start.
    cheapest: float = 900
