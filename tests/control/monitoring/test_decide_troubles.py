"""Troubles of a run as a row of readings, a minute apart, and what the monitor does at each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.aws.sqs import Counts
from control.model import JobCounts
from control.monitoring.facts import (
    EndBroken,
    EndMachines,
    EndRefusing,
    EndRun,
    Memory,
    Remove,
    SetDesired,
    SetTarget,
    Stopped,
)
from tests.control.readings import (
    BUSY,
    DONE,
    EMPTY,
    NOW,
    SURE,
    booting,
    empty,
    fleet,
    idle,
    machine,
    play,
    service,
)

HOUR = 3600
ONE_LEFT = replace(DONE, machines=(idle(0),), fleets=(fleet(1),), service=service(1))
TAIL = replace(
    BUSY,
    queue=Counts(0, 2, 0),
    machines=(machine(0),),
    fleets=(fleet(1),),
    service=service(1),
)


def ends(said):
    """Return the readings at which the run or its machines were ended."""
    return [
        n for n, chosen in enumerate(said) for a in chosen if isinstance(a, EndRun | EndMachines)
    ]


def test_counts_that_flicker_to_zero_end_nothing():
    zero = replace(BUSY, queue=EMPTY)
    assert play(BUSY, zero, zero, zero, BUSY, zero, zero, zero, BUSY) == [[]] * 9


def test_counts_that_flicker_to_zero_at_the_end_start_the_wait_again():
    last = replace(ONE_LEFT, queue=Counts(0, 1, 0))
    said = play(ONE_LEFT, ONE_LEFT, ONE_LEFT, last, ONE_LEFT, ONE_LEFT, ONE_LEFT, ONE_LEFT)
    assert ends(said) == [7]


def test_messages_in_flight_that_come_back_get_their_machines_back():
    """A machine was killed with two jobs; their messages turn up again after their visibility."""
    two_more = replace(TAIL, queue=Counts(0, 4, 0))
    back = replace(TAIL, queue=Counts(2, 2, 0))
    assert play(replace(TAIL, queue=Counts(0, 2, 0)), back) == [
        [],
        [SetDesired(2), SetTarget("sfr-1", 2)],
    ]
    # They are waited for even while no worker of ours holds them.
    assert play(two_more) == [[SetDesired(2), SetTarget("sfr-1", 2)]]


def test_a_fleet_that_aws_ends_is_reported_once_its_machines_are_gone():
    ending = replace(BUSY, fleets=(fleet(state="cancelled_terminating"),))
    gone = replace(ending, machines=(), service=service(3, running=0))
    said = play(BUSY, ending, gone)
    assert said[:2] == [[], []]
    assert isinstance(said[2][0], EndMachines) and "AWS has ended the fleet" in said[2][0].why


def test_a_fleet_that_ec2_does_not_know_yet_is_not_taken_for_one_that_has_ended():
    """EC2 is eventually consistent: it may not list a new request for a moment."""
    start = replace(BUSY, machines=(), service=service(3, running=0))
    unknown = replace(start, fleets=())
    assert play(unknown, start, unknown, start) == [[]] * 4


def test_a_fleet_that_ec2_has_forgotten_is_reported_after_a_second_look():
    forgotten = replace(BUSY, fleets=(), machines=(), service=service(3, running=0))
    said = play(BUSY, forgotten, forgotten)
    assert ends(said) == [2] and "AWS has ended the fleet" in said[2][0].why


def test_a_fleet_that_ends_with_the_queue_leaves_time_for_the_last_records():
    gone = (fleet(state="cancelled_terminating"),)
    missing = replace(ONE_LEFT, fleets=gone, machines=(), jobs=JobCounts(200, 199, 0, 0))
    late = replace(missing, jobs=DONE.jobs)
    assert play(missing, missing, missing, late) == [[], [], [], [EndRun()]]


def test_a_service_that_somebody_deleted_ends_the_machines_after_a_second_look():
    deleted = replace(BUSY, service=None, machines=())
    said = play(BUSY, deleted, deleted)
    assert ends(said) == [2] and "deleted the ECS service" in said[2][0].why
    assert play(BUSY, deleted, BUSY, deleted) == [[]] * 4


def test_a_service_deleted_after_the_last_job_does_not_keep_the_run_from_its_end():
    deleted = replace(DONE, service=None, machines=())
    said = play(*[deleted] * 4)
    assert said == [[], [], [], [EndRun()]]


@pytest.mark.parametrize("jump", [-10 * HOUR, 10 * HOUR], ids=["back", "forward"])
def test_a_clock_that_jumps_ends_no_run_on_two_readings(jump):
    """The queue is only empty for a moment: the third reading shows it."""
    later = replace(ONE_LEFT, now=NOW + 60 + jump)
    missing = replace(later, jobs=JobCounts(200, 150, 0, 0))
    assert ends(play(replace(missing, now=NOW), missing)) == []


def test_a_clock_that_was_set_back_does_not_keep_the_run_alive():
    back = [replace(ONE_LEFT, now=NOW - 10 * HOUR + 60 * n) for n in range(4)]
    assert ends(play(ONE_LEFT, *back)) == [4]


def test_a_clock_that_was_set_back_does_not_keep_machines_alive():
    spare = replace(TAIL, machines=(machine(0), empty(1)), fleets=(fleet(2),))
    back = [replace(spare, now=NOW - 10 * HOUR + 60 * n) for n in range(2)]
    assert play(spare, *back) == [[], [], [SetTarget("sfr-1", 1), Remove((empty(1),))]]


@pytest.mark.parametrize("jump", [-10 * HOUR, 10 * HOUR], ids=["back", "forward"])
def test_a_clock_that_jumps_ends_no_machine_that_is_still_booting(jump):
    start = replace(
        BUSY,
        queue=Counts(200, 0, 0),
        jobs=JobCounts(200, 0, 0, 0),
        machines=tuple(booting(n, age=30) for n in range(3)),
        service=service(3, running=0),
    )
    after = [replace(start, now=NOW + jump + 60 * n) for n in (1, 2, 3)]
    assert play(start, *after, memory=Memory()) == [[]] * 4


def test_machines_that_never_register_are_ended_after_ten_minutes_of_looking():
    start = replace(BUSY, machines=(*BUSY.machines[:2], booting(2, age=0)))
    said = play(*[start] * 12)
    assert [n for n, chosen in enumerate(said) if EndBroken(("i-2",)) in chosen] == [11]


def test_two_monitors_at_once_want_the_same():
    """The second has seen what the first saw, or what the first has made of it."""
    seen = replace(
        TAIL, machines=(machine(0), empty(1), empty(2)), fleets=(fleet(3),), service=service(1)
    )
    order = [SetTarget("sfr-1", 1), Remove((empty(1), empty(2)))]
    assert play(seen, seen, memory=SURE, step=0) == [order, order]
    lowered = replace(seen, fleets=(fleet(1),))
    assert play(seen, lowered, memory=SURE, step=0) == [order, order[1:]]
    assert play(seen, replace(lowered, machines=(machine(0),)), memory=SURE, step=0) == [order, []]


def test_two_monitors_with_different_clocks_end_the_run_no_sooner_than_three_readings():
    fast = replace(ONE_LEFT, now=NOW + HOUR)
    assert ends(play(ONE_LEFT, fast)) == []
    assert ends(play(fast, ONE_LEFT)) == []


def test_a_second_fleet_added_in_mid_run_is_filled_and_then_both_shrink():
    added = replace(
        BUSY,
        machines=(*BUSY.machines, booting(3, fleet_id="sfr-2"), booting(4, fleet_id="sfr-2")),
        fleets=(fleet(3), fleet(2, fleet_id="sfr-2")),
        service=service(5, running=3),
        requested={"sfr-1": 3, "sfr-2": 2},
    )
    # startCluster makes the monitor forget what it knew of the machines before these.
    assert play(added, added, memory=Memory()) == [[], []]
    drained = replace(
        added,
        queue=Counts(0, 4, 0),
        machines=(
            machine(0),
            empty(1),
            empty(2),
            machine(3, fleet_id="sfr-2"),
            empty(4, fleet_id="sfr-2"),
        ),
        service=service(2),
    )
    assert play(drained, memory=SURE) == [
        [
            SetTarget("sfr-1", 1),
            SetTarget("sfr-2", 1),
            Remove((drained.machines[1], drained.machines[2], drained.machines[4])),
        ]
    ]


def test_the_first_of_two_fleets_may_end_while_the_second_works_on():
    ended = replace(
        BUSY,
        fleets=(fleet(3, state="cancelled"), fleet(3, fleet_id="sfr-2")),
        machines=tuple(machine(n, fleet_id="sfr-2") for n in range(3)),
        requested={"sfr-1": 3, "sfr-2": 3},
    )
    assert play(ended, ended) == [[], []]


def test_a_run_of_no_jobs_is_over_after_three_minutes():
    none = replace(ONE_LEFT, jobs=JobCounts(0, 0, 0, 0))
    assert play(none, none, none, none, memory=Memory()) == [[], [], [], [EndRun()]]


def test_an_image_that_never_starts_stops_the_machines_with_its_reason():
    pull = "CannotPullContainerError: pull access denied for me/image"
    start = replace(
        BUSY,
        queue=Counts(200, 0, 0),
        jobs=JobCounts(200, 0, 0, 0),
        machines=tuple(empty(n) for n in range(3)),
        service=service(3, running=0),
    )
    failed = [
        replace(start, stopped=tuple(Stopped(pull, f"ci-{n}") for n in range(count)))
        for count in (0, 1, 2, 3)
    ]
    said = play(*failed, memory=Memory())
    assert said[:3] == [[], [], []]
    assert isinstance(said[3][0], EndMachines) and pull in said[3][0].why


def test_one_symptom_on_three_machines_is_one_in_whatever_words():
    why = "CannotPullContainerError: pull access denied (request {})"
    start = replace(
        BUSY,
        queue=Counts(200, 0, 0),
        jobs=JobCounts(200, 0, 0, 0),
        service=service(3, running=0),
        stopped=tuple(Stopped(why.format(n), f"ci-{n}") for n in range(3)),
    )
    start = replace(start, machines=tuple(empty(n) for n in range(3)))
    (order,) = play(start, memory=Memory())[0]
    assert isinstance(order, EndMachines) and f"3 times: {why.format(0)}" in order.why
    other = tuple(replace(one, why=f"unknown {n}") for n, one in enumerate(start.stopped))
    assert play(replace(start, stopped=other), memory=Memory()) == [[]]


def test_records_missing_at_the_end_end_the_machines_only():
    missing = replace(ONE_LEFT, jobs=JobCounts(200, 199, 0, 0))
    said = play(missing, missing, missing, missing)
    assert said[:3] == [[], [], []]
    assert isinstance(said[3][0], EndMachines) and "1 submitted jobs" in said[3][0].why


def test_records_that_come_late_end_the_run():
    missing = replace(ONE_LEFT, jobs=JobCounts(200, 199, 0, 0))
    assert play(missing, missing, missing, ONE_LEFT)[3] == [EndRun()]


WHY = "the disk is full: 0.01 GB of 30.0 GB are free"
REFUSED = replace(
    BUSY,
    queue=Counts(100, 0, 0),
    jobs=JobCounts(200, 0, 0, 0),
    machines=(idle(0), idle(1), empty(2)),
    refusals=(("disk_full", WHY),),
)


def test_containers_that_take_no_job_end_the_run_after_five_minutes_with_their_reason():
    said = play(*[REFUSED] * 6)
    assert ends(said) == [5]
    assert said[5][0].why == f"The containers run, but accept no jobs: {WHY}"


def test_without_a_reason_in_their_log_they_are_given_fifteen_minutes():
    said = play(*[replace(REFUSED, refusals=())] * 16)
    assert ends(said) == [15] and "their log has no reason" in said[15][0].why


@pytest.mark.parametrize(
    "works",
    [
        replace(REFUSED, queue=Counts(100, 1, 0)),
        replace(REFUSED, queue=Counts(99, 0, 0)),
        replace(REFUSED, machines=(machine(0), idle(1))),
        replace(REFUSED, service=service(2, running=0)),
    ],
    ids=["in flight", "one fewer", "busy", "not running"],
)
def test_a_sign_of_work_starts_the_wait_again(works):
    said = play(*[REFUSED] * 5, works, *[REFUSED] * 5)
    assert ends(said) == []


@pytest.mark.parametrize("jump", [-10 * HOUR, 10 * HOUR], ids=["back", "forward"])
def test_a_clock_that_jumps_ends_no_containers_on_two_readings(jump):
    later = replace(REFUSED, now=NOW + 60 + jump)
    assert ends(play(REFUSED, later)) == []


def test_machines_that_did_jobs_before_are_replaced_and_given_up_if_others_do_none_either():
    """A disk that has filled up over a thousand jobs is empty on another machine."""
    worked = replace(REFUSED, jobs=JobCounts(200, 90, 0, 10))
    said = play(*[worked] * 12)
    assert said[5] == [
        EndRefusing((idle(0), idle(1)), f"The containers run, but accept no jobs: {WHY}")
    ]
    assert ends(said) == [11]
    more = replace(worked, jobs=JobCounts(200, 95, 0, 10))
    said = play(*[worked] * 6, *[more] * 6)
    assert ends(said) == [] and isinstance(said[11][0], EndRefusing)


def test_a_container_that_came_later_is_given_as_long():
    more = replace(REFUSED, service=service(3, running=4))
    assert ends(play(*[REFUSED] * 5, *[more] * 6)) == [10]


def test_a_wait_that_nobody_has_checked_in_between_begins_again():
    """A monitor that was stopped, and starts again after the image was fixed."""
    later = [replace(REFUSED, now=NOW + 7200 + 60 * n) for n in range(6)]
    assert ends(play(*[REFUSED] * 4, *later)) == [9]


def test_a_machine_that_came_while_others_refused_is_not_ended_with_them():
    worked = replace(REFUSED, jobs=JobCounts(200, 90, 0, 10))
    new = replace(worked, machines=(idle(0), idle(3, launched=NOW + 200)))
    (order,) = play(*[worked] * 5, new)[5]
    assert order.machines == (idle(0),)
