"""Reasons why no job runs: every situation, as a table of readings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.aws.ecs import ServiceState
from control.aws.sqs import Counts
from control.explain import no_job
from control.model import JobCounts, Run, utc
from control.monitoring import why_idle
from control.monitoring.facts import Stopped
from control.monitoring.why_idle import Details
from tests.conftest import config_of, entry_of
from tests.control.readings import BUSY, EMPTY, NOW, booting, empty, fleet, machine

CONFIG = config_of(
    MEMORY=15000,
    CPU_SHARES=4096,
    DOCKERHUB_TAG="me/mine:1",
    LOG_GROUP_NAME="App",
    SQS_QUEUE_NAME="Q",
    SQS_DEAD_LETTER_QUEUE="Dead",
)


def requested(minutes_ago=3.0, **changes):
    """Return a run whose machines were requested some minutes ago."""
    entry = entry_of(fleet_id="sfr-1", requested=utc(NOW - minutes_ago * 60))
    names = {"cluster": "mine", "service": "AppService", "log_group": "App", "config": CONFIG}
    run = Run("App", "20260101T000000Z", "b", "us-east-1", "1", "me", **names)
    return replace(run, **{"fleets": (entry,), **changes})


def wanting(last_word="", pending=0, desired=3):
    return ServiceState(desired, 0, pending, last_word)


def unable(why):
    return wanting(
        "(service AppService) was unable to place a task because no container instance met all of "
        f"its requirements. The closest matching (container-instance 1) {why}. For more "
        "information, see the Troubleshooting section of the Amazon ECS Developer Guide."
    )


def stopped(why, exit_code=None):
    return replace(IDLE, stopped=(Stopped(why, "", exit_code),) * 2)


WAITING = Counts(100, 0, 0)
# Jobs wait, machines have joined, and no container runs.
IDLE = replace(BUSY, queue=WAITING, machines=(empty(1), empty(2)), service=wanting())
NO_MACHINE = replace(IDLE, machines=())
NO_FLEET = replace(NO_MACHINE, fleets=(fleet(state="cancelled"),))
LEFT = JobCounts(200, 94, 0, 0)
SITUATIONS = {
    "everything done": (replace(BUSY, queue=EMPTY, jobs=JobCounts(5, 4, 1, 0)), {}),
    "dead letters only": (replace(BUSY, queue=EMPTY, jobs=JobCounts(5, 3, 0, 2)), {}),
    "no jobs": (replace(BUSY, queue=EMPTY, jobs=JobCounts(0, 0, 0, 0)), {}),
    "queue gone": (replace(IDLE, queue=None), {}),
    "jobs lost": (replace(IDLE, queue=EMPTY, jobs=LEFT), {}),
    "jobs delayed": (replace(BUSY, queue=Counts(0, 0, 7)), {}),
    "not requested": (replace(NO_MACHINE, fleets=()), {"run": requested(fleets=())}),
    "request expired": (NO_FLEET, {"run": requested(72 * 60 + 1)}),
    "request cancelled": (NO_FLEET, {"history": (("cancelled_terminating", ""),)}),
    "ended by monitor": (NO_FLEET, {"run": requested(end_reason="three machines did not join")}),
    "fleet gone": (replace(NO_FLEET, fleets=()), {}),
    "target zero": (replace(NO_MACHINE, fleets=(fleet(target=0),)), {}),
    "machines coming": (NO_MACHINE, {}),
    "no machine yet": (NO_MACHINE, {"run": requested(20)}),
    "starting": (replace(IDLE, machines=(booting(1),)), {}),
    "agent not registered": (replace(IDLE, machines=(booting(1, age=700), booting(2))), {}),
    "agent disconnected": (replace(IDLE, machines=(empty(1, connected=False),)), {}),
    "draining": (replace(IDLE, machines=(empty(1, draining=True),)), {}),
    "service gone": (replace(IDLE, service=None), {}),
    "no container wanted": (replace(IDLE, service=wanting(desired=0)), {}),
    "containers starting": (replace(IDLE, service=wanting(pending=2)), {}),
    "no place yet": (IDLE, {}),
    "memory does not fit": (replace(IDLE, service=unable("has insufficient memory available")), {}),
    "CPU does not fit": (
        replace(IDLE, service=unable("has insufficient CPU units available")),
        {},
    ),
    "GPUs do not fit": (
        replace(IDLE, service=unable("has insufficient GPU resource available")),
        {},
    ),
    "other machines": (
        replace(IDLE, service=unable("is missing an attribute required by your task")),
        {},
    ),
    "agent disconnected (ECS)": (replace(IDLE, service=unable("has a disconnected agent")), {}),
    "other processor": (stopped("exec /run-worker.sh: exec format error"), {}),
    "other processor (manifest)": (
        stopped("CannotPullContainerError: no matching manifest for linux/arm64/v8"),
        {},
    ),
    "too many pulls": (
        stopped("CannotPullContainerError: toomanyrequests: You have reached your pull rate"),
        {},
    ),
    "image too large": (
        stopped("CannotPullContainerError: failed to register layer: no space left on device"),
        {},
    ),
    "no image": (
        stopped("CannotPullContainerError: pull access denied for me/mine, repository does not"),
        {},
    ),
    "no image (not found)": (
        stopped("CannotPullContainerError: docker.io/me/mine:1: not found"),
        {},
    ),
    "no image (manifest)": (
        stopped("CannotPullContainerError: manifest unknown: manifest unknown"),
        {},
    ),
    "image refused": (
        stopped("CannotPullContainerError: no basic auth credentials"),
        {},
    ),
    "container role refused": (
        stopped("ResourceInitializationError: AccessDeniedException: not authorized"),
        {},
    ),
    "container not prepared": (
        stopped("ResourceInitializationError: failed to create the log stream: timeout"),
        {},
    ),
    "image not loaded": (
        stopped("CannotPullContainerError: dial tcp: i/o timeout"),
        {},
    ),
    "out of memory": (stopped("it ended (OutOfMemoryError: Container killed)", 137), {}),
    "container killed": (stopped("it ended", 137), {}),
    "container exited": (stopped("it ended", 2), {}),
    "container stopped": (stopped("DockerTimeoutError: could not start"), {}),
}


FULL = "the disk is full: 0.01 GB of 30.0 GB are free"
ACCEPT_NONE = "The containers run, but accept no jobs: "


def explained(situation):
    seen, values = SITUATIONS[situation]
    details = Details(values.get("history", ()), dead=3)
    return why_idle.why(seen, details, values.get("run", requested()))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_differs_from_the_others(situation):
    found = explained(situation)
    assert found.situation == situation.split(" (")[0]
    assert found.what.endswith(".") and (found.what[0].isupper() or found.what[0].isdigit())
    assert found.fix and "{" not in found.what + found.fix


def test_every_reason_there_is_has_its_situation():
    tables = (no_job.RUN, no_job.MACHINES, no_job.CONTAINERS)
    tables += (no_job.PLACEMENT, no_job.STOPPED)
    every = {situation for table in tables for situation in table}
    every |= {"request expired", "request cancelled"}
    assert every == {situation.split(" (")[0] for situation in SITUATIONS}


@pytest.mark.parametrize("cause", no_job.REFUSED)
def test_containers_that_accept_no_jobs_are_explained_by_the_cause_in_their_log(cause):
    refusals = (("disk_full", "something earlier"), (cause, FULL))
    found = why_idle.why(replace(BUSY, queue=WAITING, refusals=refusals), Details(), requested())
    assert found.situation == (cause or "accept no jobs")
    assert not found.waiting_helps and not found.passing
    assert found.what == f"{ACCEPT_NONE}{FULL}."
    assert found.fix == no_job.REFUSED[cause].fill("", message="", log_group="App").fix


def test_a_cause_without_a_fix_of_its_own_shows_the_message_all_the_same():
    found = no_job.refused([("worker_error", "a bug")], CONFIG)
    assert (found.situation, found.what) == ("worker_error", f"{ACCEPT_NONE}a bug.")
    assert "App" in found.fix and no_job.refused([], CONFIG).what.startswith(ACCEPT_NONE)


@pytest.mark.parametrize("seen", [BUSY, replace(BUSY, queue=Counts(3, 0, 0))])
def test_where_containers_run_nothing_is_explained(seen):
    assert why_idle.why(seen, Details(), requested()) is None


def test_jobs_sent_again_are_not_done_because_they_have_a_record():
    seen = replace(NO_MACHINE, jobs=JobCounts(5, 3, 0, 2))
    assert why_idle.why(seen, Details(), requested(fleets=())).situation == "not requested"


def test_what_ec2_says_against_the_request_comes_before_waiting():
    history = (
        ("launchSpecTemporarilyBlacklisted", "Error Code: InsufficientInstanceCapacity"),
        ("spotInstanceCountLimitExceeded", "Max spot instance count exceeded"),
    )
    found = why_idle.why(NO_MACHINE, Details(history), requested())
    assert "quota" in found.what and "Service Quotas" in found.fix and found.waiting_helps
    lasting = (("error", "InvalidKeyPair.NotFound"), *history)
    assert "SSH_KEY_NAME" in why_idle.why(NO_MACHINE, Details(lasting), requested()).what


def test_ecs_own_words_are_shown_without_what_surrounds_them():
    found = explained("memory does not fit")
    assert "MEMORY = 15000 does not fit" in found.what
    assert "container-instance 1) has insufficient memory available." in found.what
    assert "Developer Guide" not in found.what and "AppService" not in found.what


def test_a_machine_that_is_busy_keeps_the_others_reasons_quiet():
    seen = replace(BUSY, machines=(machine(1), booting(2, age=3600)))
    assert why_idle.why(seen, Details(), requested()) is None
