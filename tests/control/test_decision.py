"""The monitor's decisions, as tables: what was seen, what is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.cluster import ServiceState
from control.decision import (
    DeleteAlarms,
    EndBroken,
    EndMachines,
    EndRun,
    Machine,
    Memory,
    Observed,
    Pace,
    PutAlarm,
    Remove,
    SetDesired,
    SetTarget,
    decide,
    tasks_needed,
)
from control.fleet import FleetState
from control.queues import Counts
from control.records import JobCounts

NOW = 1_800_000_000.0
SETTINGS = {"DOCKER_CORES": 2, "TASKS_PER_MACHINE": 1}
PACE = Pace()
EMPTY = Counts(0, 0, 0)
MACHINES = tuple(
    Machine(f"i-{n}", "sfr-1", NOW - 3600, 4, container_instance=f"ci-{n}", tasks=1, busy_tasks=1)
    for n in range(3)
)
BUSY = Observed(
    now=NOW,
    queue=Counts(100, 6, 0),
    jobs=JobCounts(submitted=200, done=94, skipped=0, failed=0),
    fleets=(FleetState("sfr-1", "active", "fulfilled", 3, ("i-0", "i-1", "i-2")),),
    machines=MACHINES,
    service=ServiceState(desired=3, running=3, pending=0),
    alarms=frozenset(f"App_run_i-{n}" for n in range(3)),
)
DONE = replace(BUSY, queue=EMPTY, jobs=JobCounts(200, 198, 1, 1))


def actions(seen, memory=None):
    return decide(seen, memory or Memory(), SETTINGS, PACE)[0]


def test_while_all_work_nothing_is_done():
    assert actions(BUSY) == []


def test_an_empty_queue_is_not_believed_at_once():
    chosen, memory = decide(DONE, Memory(), SETTINGS, PACE)
    assert EndRun() not in chosen
    assert memory.empty_since == NOW


@pytest.mark.parametrize(("waited", "ends"), [(0, False), (179, False), (180, True), (1000, True)])
def test_the_run_ends_when_the_queue_was_empty_for_three_minutes(waited, ends):
    chosen = actions(DONE, Memory(empty_since=NOW - waited))
    assert (EndRun() in chosen) is ends


def test_a_count_that_flickers_to_zero_starts_the_wait_anew():
    _, memory = decide(DONE, Memory(), SETTINGS, PACE)
    _, memory = decide(replace(DONE, now=NOW + 100, queue=Counts(0, 1, 0)), memory, SETTINGS, PACE)
    assert memory.empty_since is None
    chosen, memory = decide(replace(DONE, now=NOW + 200), memory, SETTINGS, PACE)
    assert EndRun() not in chosen and memory.empty_since == NOW + 200


@pytest.mark.parametrize("queue", [Counts(1, 0, 0), Counts(0, 1, 0), Counts(0, 0, 1)])
def test_no_run_ends_while_a_message_waits_is_in_work_or_is_delayed(queue):
    seen = replace(DONE, queue=queue)
    assert EndRun() not in actions(seen, Memory(empty_since=NOW - 1000))


def test_missing_records_end_the_machines_but_not_the_run():
    seen = replace(DONE, jobs=JobCounts(200, 190, 0, 0))
    (action,) = actions(seen, Memory(empty_since=NOW - 200))
    assert isinstance(action, EndMachines) and "10 submitted jobs" in action.why


def test_a_run_of_no_jobs_ends():
    seen = replace(DONE, jobs=JobCounts(0, 0, 0, 0))
    assert actions(seen, Memory(empty_since=NOW - 200)) == [EndRun()]


def test_a_clock_that_was_set_back_does_not_keep_the_run_alive():
    assert actions(DONE, Memory(empty_since=NOW + 3600)) == [EndRun()]


def test_a_queue_that_somebody_deleted_counts_as_empty():
    seen = replace(DONE, queue=None)
    assert actions(seen, Memory(empty_since=NOW - 200)) == [EndRun()]


def test_a_fleet_that_aws_ended_is_said_with_the_number_of_jobs_left():
    seen = replace(
        BUSY,
        fleets=(FleetState("sfr-1", "cancelled_terminating", "", 3),),
        machines=(),
        alarms=frozenset(),
    )
    (action,) = actions(seen)
    assert isinstance(action, EndMachines) and "106 jobs" in action.why


def test_a_second_fleet_that_lives_keeps_the_run_going():
    ended = FleetState("sfr-0", "cancelled_terminating", "", 0)
    assert actions(replace(BUSY, fleets=(ended, *BUSY.fleets))) == []


@pytest.mark.parametrize(
    ("queue", "busy_tasks", "needed"),
    [
        (Counts(0, 0, 0), 0, 1),
        (Counts(0, 2, 0), 1, 1),
        (Counts(1, 2, 0), 1, 2),
        (Counts(2, 2, 0), 1, 2),
        (Counts(3, 2, 0), 1, 3),
        (Counts(0, 2, 5), 1, 4),
    ],
)
def test_containers_needed_are_those_at_work_and_those_for_waiting_jobs(queue, busy_tasks, needed):
    machines = tuple(
        replace(m, busy_tasks=1 if i < busy_tasks else 0) for i, m in enumerate(MACHINES)
    )
    assert tasks_needed(replace(BUSY, queue=queue, machines=machines), SETTINGS) == needed


DRAINING = replace(
    BUSY,
    queue=Counts(0, 1, 0),
    machines=(MACHINES[0], *(replace(m, busy_tasks=0) for m in MACHINES[1:])),
)


def test_idle_containers_go_only_after_they_were_idle_for_a_while():
    chosen, memory = decide(DRAINING, Memory(), SETTINGS, PACE)
    assert chosen == [] and memory.spare_since == NOW
    later = replace(DRAINING, now=NOW + PACE.spare)
    assert decide(later, memory, SETTINGS, PACE)[0] == [SetDesired(1)]


def test_machines_without_a_container_go_and_are_not_replaced():
    empty = tuple(replace(m, tasks=0, busy_tasks=0) for m in MACHINES[1:])
    seen = replace(
        DRAINING, machines=(MACHINES[0], *empty), service=ServiceState(1, running=1, pending=0)
    )
    chosen = actions(seen, Memory(spare_since=NOW - 100))
    assert chosen == [SetTarget("sfr-1", 1), Remove(empty)]


def test_a_machine_stays_while_a_container_is_about_to_come_onto_it():
    machines = (*MACHINES[:2], replace(MACHINES[2], tasks=0, busy_tasks=0))
    seen = replace(BUSY, machines=machines, service=ServiceState(3, running=2, pending=1))
    assert actions(seen, Memory(spare_since=NOW - 100)) == []


def test_nothing_is_scaled_in_while_jobs_are_in_flight_that_no_container_protects():
    seen = replace(DRAINING, queue=Counts(0, 3, 0))
    chosen, memory = decide(seen, Memory(spare_since=NOW - 100), SETTINGS, PACE)
    assert chosen == [] and memory.spare_since is None


def test_a_service_that_somebody_deleted_is_no_reason_to_scale():
    assert actions(replace(DRAINING, service=None), Memory(spare_since=NOW - 100)) == []


def unregistered(age):
    return replace(MACHINES[2], container_instance="", tasks=0, busy_tasks=0, launched=NOW - age)


def test_a_machine_that_does_not_register_within_ten_minutes_is_ended():
    seen = replace(BUSY, machines=(*MACHINES[:2], unregistered(601)))
    chosen, memory = decide(seen, Memory(), SETTINGS, PACE)
    assert chosen == [EndBroken(("i-2",))]
    assert memory.never_registered == 1


def test_a_machine_that_is_still_booting_is_left_alone():
    assert actions(replace(BUSY, machines=(*MACHINES[:2], unregistered(599)))) == []


def test_the_third_machine_that_never_registers_ends_the_fleet():
    seen = replace(BUSY, machines=(unregistered(700),), alarms=frozenset({"App_run_i-2"}))
    (action,) = actions(seen, Memory(never_registered=2))
    assert isinstance(action, EndMachines) and "did not join the cluster" in action.why


def test_a_machine_that_registers_makes_up_for_those_that_did_not():
    _, memory = decide(BUSY, Memory(never_registered=2), SETTINGS, PACE)
    assert memory.never_registered == 0


def test_alarms_follow_the_machines():
    seen = replace(BUSY, alarms=frozenset({"App_run_i-0", "App_run_i-gone"}))
    assert actions(seen) == [
        PutAlarm(MACHINES[1]),
        PutAlarm(MACHINES[2]),
        DeleteAlarms(("App_run_i-gone",)),
    ]


NEVER_WORKED = replace(
    BUSY,
    queue=Counts(8, 0, 0),
    jobs=JobCounts(8, 0, 0, 0),
    machines=tuple(replace(m, busy_tasks=0) for m in MACHINES),
    stopped=("the container exited with code 1",) * 5,
)


def test_containers_that_only_start_and_end_are_given_up_with_their_reason():
    (action,) = actions(NEVER_WORKED)
    assert isinstance(action, EndMachines) and "5 times: the container exited" in action.why


@pytest.mark.parametrize(
    "change",
    [
        {"stopped": ("the container exited with code 1",) * 4},
        {"jobs": JobCounts(8, 0, 0, 1)},
        {"queue": Counts(7, 1, 0)},
        {"machines": MACHINES},
    ],
    ids=["too few", "a job has ended", "a job is in flight", "a container is at work"],
)
def test_containers_are_not_given_up_while_any_work_is_done(change):
    chosen = actions(replace(NEVER_WORKED, **change))
    assert not any(isinstance(action, EndMachines) for action in chosen)
