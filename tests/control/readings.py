"""Readings of a monitor: a busy run, and the same run at other moments."""

from __future__ import annotations

from dataclasses import replace

from control.aws.ecs import ServiceState
from control.aws.fleet import FleetState
from control.aws.sqs import Counts
from control.model import JobCounts
from control.monitoring.decide import decide
from control.monitoring.facts import DeleteAlarms, Machine, Memory, Observed, PutAlarm
from control.monitoring.pace import Pace
from tests.conftest import config_of

NOW = 1_800_000_000.0
CONFIG = config_of(DOCKER_CORES=2, TASKS_PER_MACHINE=1)
PACE = Pace()
EMPTY = Counts(0, 0, 0)
# What a monitor remembers that has seen work, and too many machines on an earlier reading.
WORKED = Memory(protection_works=True)
SURE = replace(WORKED, spare_since=NOW - PACE.spare)


def machine(number, tasks=1, busy=1, **changes):
    """Return a registered machine of the fleet sfr-1, busy by default."""
    values = {"launched": NOW - 3600, "vcpus": 4, "container_instance": f"ci-{number}", **changes}
    fleet_id = values.pop("fleet_id", "sfr-1")
    return Machine(f"i-{number}", fleet_id, tasks=tasks, busy_tasks=busy, **values)


def idle(number, **changes):
    """Return a machine whose container has nothing to do."""
    return machine(number, busy=0, **changes)


def empty(number, **changes):
    """Return a machine without a container."""
    return machine(number, tasks=0, busy=0, **changes)


def booting(number, age=60, **changes):
    """Return a machine that has not registered."""
    changes = {"launched": NOW - age, "container_instance": "", **changes}
    return machine(number, tasks=0, busy=0, **changes)


def fleet(target=3, state="active", fleet_id="sfr-1"):
    return FleetState(fleet_id, state, "fulfilled", target)


BUSY = Observed(
    now=NOW,
    queue=Counts(100, 6, 0),
    jobs=JobCounts(submitted=200, done=94, skipped=0, failed=0),
    fleets=(fleet(),),
    machines=tuple(machine(n) for n in range(3)),
    service=ServiceState(desired=3, running=3, pending=0),
    alarms=frozenset(f"App_run_i-{n}" for n in range(10)),
    requested={"sfr-1": 3},
)
DONE = replace(BUSY, queue=EMPTY, jobs=JobCounts(200, 198, 1, 1))


def service(desired, running=None):
    running = desired if running is None else running
    return ServiceState(desired, running, desired - running)


def actions(seen, memory=WORKED, config=CONFIG):
    """Return the actions that follow from a reading, without those on alarms."""
    chosen = decide(seen, memory, config, PACE)[0]
    return [a for a in chosen if not isinstance(a, PutAlarm | DeleteAlarms)]


def play(*readings, memory=WORKED, step=PACE.poll):
    """Return the actions of each reading; those without their own time are a minute apart."""
    said = []
    for number, seen in enumerate(readings):
        if seen.now == NOW:
            seen = replace(seen, now=NOW + number * step)
        chosen, memory = decide(seen, memory, CONFIG, PACE)
        said.append([a for a in chosen if not isinstance(a, PutAlarm | DeleteAlarms)])
    return said
