"""Numbers of containers and machines that a run needs, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.aws.sqs import Counts
from control.model import JobCounts
from control.monitoring.decide import decide
from control.monitoring.facts import EndBroken, Memory, Remove, SetDesired, SetTarget
from control.monitoring.scale import tasks_needed
from tests.control.readings import (
    BUSY,
    CONFIG,
    DONE,
    NOW,
    PACE,
    SURE,
    actions,
    booting,
    empty,
    fleet,
    idle,
    machine,
    play,
    service,
)


@pytest.mark.parametrize(
    ("queue", "busy", "needed"),
    [
        (Counts(0, 0, 0), 0, 1),
        (Counts(0, 2, 0), 1, 1),
        (Counts(1, 2, 0), 1, 2),
        (Counts(2, 2, 0), 1, 2),
        (Counts(3, 2, 0), 1, 3),
        (Counts(0, 2, 5), 1, 4),
        (Counts(0, 4, 0), 1, 2),
        (Counts(0, 1, 0), 3, 3),
    ],
    ids=[
        "nothing left",
        "all at work",
        "one job waits",
        "two fit a container",
        "three do not",
        "delayed",
        "in flight but held by none: it will come back",
        "containers at work, whatever SQS counts",
    ],
)
def test_containers_needed_are_those_at_work_and_those_for_jobs_that_wait(queue, busy, needed):
    machines = tuple(machine(n, busy=int(n < busy)) for n in range(3))
    assert tasks_needed(replace(BUSY, queue=queue, machines=machines), CONFIG) == needed


ONE_BUSY = replace(BUSY, queue=Counts(0, 1, 0), machines=(machine(0), idle(1), idle(2)))
EMPTIED = replace(ONE_BUSY, machines=(machine(0), empty(1), empty(2)), service=service(1))


def test_containers_without_work_go_at_once_and_their_machines_after_a_second_look():
    assert play(ONE_BUSY, EMPTIED) == [
        [SetDesired(1)],
        [SetTarget("sfr-1", 1), Remove((empty(1), empty(2)))],
    ]
    soon = replace(EMPTIED, now=NOW + PACE.spare - 1)
    assert play(ONE_BUSY, soon) == [[SetDesired(1)], []]


def test_the_wait_starts_again_when_all_is_needed_again():
    _, memory = decide(BUSY, SURE, CONFIG, PACE)
    assert memory.spare_since is None


@pytest.mark.parametrize(
    "third",
    [empty(2), booting(2)],
    ids=["a container is about to come onto it", "it is about to register"],
)
def test_a_machine_stays_while_its_place_is_needed(third):
    machines = (*BUSY.machines[:2], third)
    seen = replace(BUSY, machines=machines, service=service(3, running=2))
    assert actions(seen, SURE) == []


def test_a_machine_that_boots_for_nothing_is_ended():
    seen = replace(EMPTIED, machines=(machine(0), booting(1)), fleets=(fleet(2),))
    assert actions(seen, SURE) == [SetTarget("sfr-1", 1), Remove((booting(1),))]


def test_of_two_free_machines_the_one_that_has_registered_stays():
    seen = replace(
        ONE_BUSY,
        queue=Counts(1, 2, 0),
        machines=(machine(0), empty(1), booting(2)),
        service=service(2, running=1),
    )
    assert actions(seen, SURE) == [SetTarget("sfr-1", 2), Remove((booting(2),))]


def test_a_machine_whose_containers_are_still_ending_is_waited_for():
    machines = (machine(0), empty(1, stopping=True))
    seen = replace(EMPTIED, machines=machines, fleets=(fleet(2),))
    assert actions(seen, SURE) == []


def test_machines_that_never_came_are_not_waited_for_when_they_are_not_needed():
    """A target above the machines that are up would bring them when the last job is at work."""
    seen = replace(EMPTIED, machines=(machine(0),), fleets=(fleet(3),))
    assert actions(seen, SURE) == [SetTarget("sfr-1", 1)]


INTERRUPTED = machine(2, tasks=0, busy=0, draining=True)


def test_an_interrupted_machine_is_replaced_only_if_its_place_is_needed():
    others = (machine(0), machine(1))
    at_work = replace(BUSY, queue=Counts(0, 4, 0), machines=(*others, INTERRUPTED))
    assert actions(replace(at_work, service=service(2))) == [
        SetTarget("sfr-1", 2),
        Remove((INTERRUPTED,)),
    ]
    back = replace(at_work, queue=Counts(2, 4, 0), service=service(3, running=2))
    assert actions(back) == [Remove((INTERRUPTED,))]


def test_what_still_works_on_a_draining_machine_makes_no_place_there():
    """Four containers fit a machine: one works on the draining one, and five are needed."""
    config = replace(CONFIG, DOCKER_CORES=1, TASKS_PER_MACHINE=4)
    leaving = machine(1, tasks=1, busy=1, draining=True)
    seen = replace(
        BUSY,
        queue=Counts(2, 3, 0),
        machines=(machine(0, tasks=2, busy=2), leaving),
        fleets=(fleet(2),),
        service=service(5, running=3),
        requested={"sfr-1": 3},
    )
    assert actions(seen, SURE, config) == [SetTarget("sfr-1", 1)]
    more = replace(seen, queue=Counts(3, 3, 0), service=service(6, running=3))
    assert actions(more, SURE, config) == []


def test_jobs_that_come_back_get_containers_and_machines_again():
    seen = replace(
        BUSY,
        queue=Counts(5, 2, 0),
        machines=(machine(0),),
        fleets=(fleet(1),),
        service=service(1),
    )
    assert actions(seen) == [SetDesired(3), SetTarget("sfr-1", 3)]


def test_never_more_machines_than_the_user_has_confirmed():
    seen = replace(
        BUSY,
        queue=Counts(5000, 2, 0),
        machines=(machine(0),),
        fleets=(fleet(1),),
        service=service(1),
        requested={"sfr-1": 2},
    )
    assert actions(seen) == [SetDesired(2), SetTarget("sfr-1", 2)]


def test_fleets_share_what_is_missing_and_keep_what_each_has():
    seen = replace(
        BUSY,
        queue=Counts(6, 4, 0),
        machines=(machine(0), machine(1, fleet_id="sfr-2")),
        fleets=(fleet(1), fleet(1, fleet_id="sfr-2")),
        service=service(2),
        requested={"sfr-1": 3, "sfr-2": 3},
    )
    assert actions(seen) == [SetDesired(5), SetTarget("sfr-1", 2), SetTarget("sfr-2", 3)]


@pytest.mark.parametrize("state", ["submitted", "modifying", "cancelled_terminating"])
def test_a_fleet_that_cannot_be_changed_now_loses_no_machine(state):
    """It would replace what is ended before its target is lowered."""
    assert actions(replace(EMPTIED, fleets=(fleet(state=state),)), SURE) == []


def test_machines_with_several_containers_stay_until_the_last_is_done():
    config = replace(CONFIG, DOCKER_CORES=1, TASKS_PER_MACHINE=4)
    seen = replace(
        BUSY,
        queue=Counts(0, 2, 0),
        machines=(machine(0, tasks=1), machine(1, tasks=1), empty(2)),
        service=service(2),
    )
    assert actions(seen, SURE, config) == [SetTarget("sfr-1", 2), Remove((empty(2),))]


def test_a_broken_machine_holds_no_place_and_is_replaced():
    seen = replace(BUSY, machines=(*BUSY.machines[:2], booting(2, age=700)))
    assert actions(seen, replace(SURE, unregistered_readings=5)) == [EndBroken(("i-2",))]


def test_a_broken_machine_that_is_not_needed_is_not_replaced():
    seen = replace(EMPTIED, machines=(machine(0), booting(2, age=700)), fleets=(fleet(2),))
    memory = replace(SURE, unregistered_readings=5)
    assert actions(seen, memory) == [SetTarget("sfr-1", 1), EndBroken(("i-2",))]


@pytest.mark.parametrize(
    ("queue", "jobs"),
    [
        (Counts(0, 0, 0), JobCounts(200, 0, 0, 0)),
        (Counts(3, 0, 0), JobCounts(200, 0, 0, 0)),
        (Counts(0, 0, 0), JobCounts(200, 150, 0, 0)),
    ],
    ids=["SQS knows of nothing yet", "SQS knows of few yet", "SQS forgot the rest"],
)
def test_counts_that_cannot_be_right_scale_nothing(queue, jobs):
    machines = (idle(0), empty(1), booting(2))
    seen = replace(BUSY, queue=queue, jobs=jobs, machines=machines)
    assert actions(seen, SURE) == []


def test_where_no_container_protects_itself_none_is_stopped_while_a_job_is_in_flight():
    seen = replace(ONE_BUSY, machines=(idle(0), idle(1), idle(2)), queue=Counts(0, 1, 0))
    assert actions(seen, Memory(spare_since=NOW - 100)) == []
    assert actions(seen, SURE) == [SetDesired(1)]


def test_when_the_last_job_has_ended_one_container_stays_until_the_end():
    seen = replace(DONE, machines=(idle(0), empty(1), empty(2)), service=service(1))
    assert actions(seen, SURE) == [SetTarget("sfr-1", 1), Remove((empty(1), empty(2)))]


def test_without_a_fleet_the_service_is_left_alone():
    seen = replace(BUSY, fleets=(), machines=(), service=service(0), requested={})
    assert actions(seen) == []
