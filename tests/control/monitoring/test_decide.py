"""The monitor's decisions, as tables: the end of a run, what never works, alarms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.aws.sqs import Counts
from control.model import JobCounts
from control.monitoring.decide import decide
from control.monitoring.facts import (
    DeleteAlarms,
    EndBroken,
    EndMachines,
    EndRun,
    Memory,
    PutAlarm,
    Stopped,
)
from tests.control.readings import (
    BUSY,
    CONFIG,
    DONE,
    NOW,
    PACE,
    WORKED,
    actions,
    booting,
    fleet,
    idle,
    machine,
    service,
)


def emptied(seconds, readings=3):
    """Return the memory of a number of readings of an empty queue, the first some seconds ago."""
    return replace(WORKED, empty_since=NOW - seconds, empty_readings=readings)


def test_while_all_work_nothing_is_done():
    assert actions(BUSY) == []


def test_an_empty_queue_is_not_believed_at_once():
    chosen, memory = decide(DONE, Memory(), CONFIG, PACE)
    assert EndRun() not in chosen
    assert (memory.empty_since, memory.empty_readings) == (NOW, 1)


@pytest.mark.parametrize(
    ("waited", "readings", "ends"),
    [(0, 1, False), (179, 3, False), (180, 2, True), (1000, 3, True), (1000, 1, False)],
)
def test_the_run_ends_when_the_queue_was_empty_for_three_minutes(waited, readings, ends):
    assert (EndRun() in actions(DONE, emptied(waited, readings))) is ends


@pytest.mark.parametrize("queue", [Counts(1, 0, 0), Counts(0, 1, 0), Counts(0, 0, 1)])
def test_no_run_ends_while_a_message_waits_is_in_work_or_is_delayed(queue):
    assert EndRun() not in actions(replace(DONE, queue=queue), emptied(1000))


def test_missing_records_end_the_machines_but_not_the_run():
    seen = replace(DONE, jobs=JobCounts(200, 190, 0, 0))
    (action,) = actions(seen, emptied(200))
    assert isinstance(action, EndMachines) and "10 submitted jobs" in action.why


def test_a_run_of_no_jobs_ends():
    seen = replace(DONE, jobs=JobCounts(0, 0, 0, 0))
    assert actions(seen, emptied(200)) == [EndRun()]


def test_a_queue_that_somebody_deleted_counts_as_empty():
    assert actions(replace(DONE, queue=None), emptied(200)) == [EndRun()]


def test_a_fleet_that_aws_ended_is_reported_with_the_number_of_jobs_left():
    gone = (fleet(state="cancelled_terminating"),)
    (action,) = actions(replace(BUSY, fleets=gone, machines=()))
    assert isinstance(action, EndMachines) and "106 jobs" in action.why


def test_a_run_whose_fleet_was_not_requested_yet_waits_for_it():
    seen = replace(BUSY, fleets=(), machines=(), requested={})
    assert actions(seen) == []


def test_a_fleet_that_aws_ended_after_the_last_job_does_no_harm():
    gone = (fleet(state="cancelled_terminating"),)
    assert actions(replace(DONE, fleets=gone, machines=())) == []
    assert actions(replace(DONE, fleets=gone, machines=()), emptied(180)) == [EndRun()]


def unregistered_for(readings, never_registered=0):
    return Memory(unregistered_readings=readings, never_registered=never_registered)


def test_a_machine_that_does_not_register_within_ten_minutes_is_ended():
    seen = replace(BUSY, machines=(*BUSY.machines[:2], booting(2, age=601)))
    assert actions(seen, unregistered_for(5)) == [EndBroken(("i-2",))]


def test_a_machine_that_is_still_booting_is_left_alone():
    seen = replace(BUSY, machines=(*BUSY.machines[:2], booting(2, age=599)))
    assert actions(seen, unregistered_for(5)) == []


IDLE_START = replace(
    BUSY, queue=Counts(200, 0, 0), jobs=JobCounts(200, 0, 0, 0), machines=(booting(0, age=700),)
)


def test_the_third_machine_that_never_registers_ends_the_fleet():
    (action,) = actions(IDLE_START, unregistered_for(5, never_registered=2))
    assert isinstance(action, EndMachines) and "did not join the cluster" in action.why


def test_three_machines_that_never_register_end_the_fleet_at_once():
    seen = replace(IDLE_START, machines=tuple(booting(n, age=700) for n in range(3)))
    (action,) = actions(seen, unregistered_for(5))
    assert isinstance(action, EndMachines)


def test_a_fleet_at_work_is_not_ended_for_a_few_machines_that_never_register():
    broken = tuple(booting(n, age=700) for n in range(3, 6))
    seen = replace(
        BUSY,
        machines=(*BUSY.machines, *broken),
        fleets=(fleet(6),),
        service=service(6, running=3),
        requested={"sfr-1": 6},
    )
    assert actions(seen, unregistered_for(5)) == [EndBroken(("i-3", "i-4", "i-5"))]


def test_work_makes_up_for_machines_that_never_registered():
    _, memory = decide(BUSY, unregistered_for(0, never_registered=2), CONFIG, PACE)
    assert memory.never_registered == 0


def test_alarms_follow_the_machines():
    seen = replace(BUSY, alarms=frozenset({"App_run_i-0", "App_run_i-gone"}))
    assert decide(seen, WORKED, CONFIG, PACE)[0] == [
        PutAlarm(BUSY.machines[1]),
        PutAlarm(BUSY.machines[2]),
        DeleteAlarms(("App_run_i-gone",)),
    ]


CODE_1 = "the container exited with code 1"
NEVER_WORKED = replace(
    BUSY,
    queue=Counts(8, 0, 0),
    jobs=JobCounts(8, 0, 0, 0),
    machines=tuple(idle(n) for n in range(3)),
    stopped=(Stopped(CODE_1, "ci-0"),) * 5,
)


def test_containers_that_only_start_and_end_stop_the_machines_with_their_reason():
    (action,) = actions(NEVER_WORKED)
    assert isinstance(action, EndMachines) and "5 times: the container exited" in action.why


def test_the_same_reason_on_three_machines_is_enough():
    pull = "CannotPullContainerError: pull access denied"
    seen = replace(NEVER_WORKED, stopped=tuple(Stopped(pull, f"ci-{n}") for n in range(3)))
    (action,) = actions(seen)
    assert isinstance(action, EndMachines) and f"3 times: {pull}" in action.why


@pytest.mark.parametrize(
    "change",
    [
        {"stopped": (Stopped(CODE_1, "ci-0"),) * 4},
        {"stopped": tuple(Stopped(f"reason {n}", f"ci-{n}") for n in range(3))},
        {"jobs": JobCounts(8, 0, 0, 1)},
        {"queue": Counts(7, 1, 0)},
        {"machines": (machine(0), idle(1), idle(2))},
    ],
    ids=[
        "too few",
        "different reasons",
        "a job has ended",
        "a job is in flight",
        "a container is at work",
    ],
)
def test_machines_are_not_ended_while_any_work_is_done(change):
    chosen = actions(replace(NEVER_WORKED, **change))
    assert not any(isinstance(action, EndMachines) for action in chosen)
