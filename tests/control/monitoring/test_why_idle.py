"""Why no job runs: every situation, as a table of readings and on the embedded AWS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.aws.ecs import ServiceState
from control.aws.sqs import Counts
from control.explain import no_job
from control.model import JobCounts, Run, utc
from control.monitoring import why_idle
from control.monitoring.facts import Stopped
from control.monitoring.why_idle import Heard
from tests.conftest import config_of, entry_of
from tests.control.readings import BUSY, EMPTY, NOW, booting, empty, fleet, machine

CONFIG = config_of(
    MEMORY=15000,
    CPU_SHARES=4096,
    DOCKERHUB_TAG="me/mine:1",
    SQS_QUEUE_NAME="Q",
    SQS_DEAD_LETTER_QUEUE="Dead",
)


def asked(minutes_ago=3.0, **changes):
    """A run whose machines were asked for so long ago."""
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


def stopped(why):
    return replace(IDLE, stopped=(Stopped(why), Stopped(why)))


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
    "not asked for": (replace(NO_MACHINE, fleets=()), {"run": asked(fleets=())}),
    "max run hours": (NO_FLEET, {"run": asked(72 * 60 + 1)}),
    "cancelled": (NO_FLEET, {"history": (("cancelled_terminating", ""),)}),
    "ended by monitor": (NO_FLEET, {"run": asked(end_reason="three machines did not join")}),
    "fleet gone": (replace(NO_FLEET, fleets=()), {}),
    "target zero": (replace(NO_MACHINE, fleets=(fleet(target=0),)), {}),
    "machines coming": (NO_MACHINE, {}),
    "no machine yet": (NO_MACHINE, {"run": asked(20)}),
    "starting": (replace(IDLE, machines=(booting(1),)), {}),
    "agent not registered": (replace(IDLE, machines=(booting(1, age=700), booting(2))), {}),
    "agent disconnected": (replace(IDLE, machines=(empty(1, connected=False),)), {}),
    "draining": (replace(IDLE, machines=(empty(1, draining=True),)), {}),
    "service gone": (replace(IDLE, service=None), {}),
    "no container wanted": (replace(IDLE, service=wanting(desired=0)), {}),
    "containers starting": (replace(IDLE, service=wanting(pending=2)), {}),
    "no place yet": (IDLE, {}),
    "insufficient memory": (replace(IDLE, service=unable("has insufficient memory available")), {}),
    "insufficient CPU units": (
        replace(IDLE, service=unable("has insufficient CPU units available")),
        {},
    ),
    "insufficient GPU": (
        replace(IDLE, service=unable("has insufficient GPU resource available")),
        {},
    ),
    "missing an attribute": (
        replace(IDLE, service=unable("is missing an attribute required by your task")),
        {},
    ),
    "disconnected agent": (replace(IDLE, service=unable("has a disconnected agent")), {}),
    "exec format error": (stopped("exec /run-worker.sh: exec format error"), {}),
    "no matching manifest": (
        stopped("CannotPullContainerError: no matching manifest for linux/arm64/v8"),
        {},
    ),
    "toomanyrequests": (
        stopped("CannotPullContainerError: toomanyrequests: You have reached your pull rate"),
        {},
    ),
    "no space left on device": (
        stopped("CannotPullContainerError: failed to register layer: no space left on device"),
        {},
    ),
    "pull access denied": (
        stopped("CannotPullContainerError: pull access denied for me/mine, repository does not"),
        {},
    ),
    "not found": (stopped("CannotPullContainerError: docker.io/me/mine:1: not found"), {}),
    "manifest unknown": (
        stopped("CannotPullContainerError: manifest unknown: manifest unknown"),
        {},
    ),
    "no basic auth credentials": (
        stopped("CannotPullContainerError: no basic auth credentials"),
        {},
    ),
    "AccessDenied": (
        stopped("ResourceInitializationError: AccessDeniedException: not authorized"),
        {},
    ),
    "ResourceInitializationError": (
        stopped("ResourceInitializationError: failed to create the log stream: timeout"),
        {},
    ),
    "CannotPullContainerError": (
        stopped("CannotPullContainerError: dial tcp: i/o timeout"),
        {},
    ),
    "OutOfMemory": (stopped("OutOfMemoryError: Container killed due to memory usage"), {}),
    "exited with code 137": (stopped("the container exited with code 137"), {}),
    "exited with code": (stopped("the container exited with code 2"), {}),
    "container stopped": (stopped("DockerTimeoutError: could not start"), {}),
}


FULL = "the disk is full: 0.01 GB of 30.0 GB are free"
THREE = "3 jobs in a row failed for reasons of the machine or its image, the last one: "
REFUSALS = {
    "program not found": f"{THREE}wcx: program not found in the image",
    "no program that can be started": f"{THREE}x.sh: no program that can be started (Permission)",
    "the disk is full": FULL,
    "the memory is full": "the memory is full: 3 MB are free",
    "is not mounted": "SOURCE_BUCKET is not mounted at /home/ubuntu/bucket",
    "AccessDenied": "no message to be had: An error occurred (AccessDenied) when calling",
    "takes no job": "no message to be had: Could not connect to the endpoint URL",
}


def explained(situation):
    seen, words = SITUATIONS[situation]
    return why_idle.why(seen, Heard(words.get("history", ()), dead=3), words.get("run", asked()))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_is_told_from_the_others(situation):
    found = explained(situation)
    assert found.situation == situation
    assert found.what.endswith(".") and (found.what[0].isupper() or found.what[0].isdigit())
    assert found.fix and "{" not in found.what + found.fix


def test_every_reason_there_is_has_its_situation():
    tables = (no_job.RUN, no_job.MACHINES, no_job.CONTAINERS)
    tables += (no_job.PLACEMENT, no_job.STOPPED)
    every = {situation or "container stopped" for table in tables for situation in table}
    assert every == set(SITUATIONS)


@pytest.mark.parametrize("situation", REFUSALS)
def test_containers_that_take_no_job_say_why(situation):
    seen = replace(BUSY, queue=WAITING, refusals=("something earlier", REFUSALS[situation]))
    found = why_idle.why(seen, Heard(), asked())
    assert found.situation == situation and found.lasting and not found.passing
    assert found.what == f"The containers run, but take no job: {REFUSALS[situation]}."
    assert set(REFUSALS) == {words or "takes no job" for words in no_job.REFUSED}


@pytest.mark.parametrize("seen", [BUSY, replace(BUSY, queue=Counts(3, 0, 0))])
def test_where_containers_run_nothing_is_explained(seen):
    assert why_idle.why(seen, Heard(), asked()) is None


def test_jobs_sent_again_are_not_done_because_they_have_a_record():
    seen = replace(NO_MACHINE, jobs=JobCounts(5, 3, 0, 2))
    assert why_idle.why(seen, Heard(), asked(fleets=())).situation == "not asked for"


def test_what_ec2_says_against_the_request_comes_before_waiting():
    history = (
        ("launchSpecTemporarilyBlacklisted", "Error Code: InsufficientInstanceCapacity"),
        ("spotInstanceCountLimitExceeded", "Max spot instance count exceeded"),
    )
    found = why_idle.why(NO_MACHINE, Heard(history), asked())
    assert "quota" in found.what and "Service Quotas" in found.fix and not found.lasting
    lasting = (("error", "InvalidKeyPair.NotFound"), *history)
    assert "SSH_KEY_NAME" in why_idle.why(NO_MACHINE, Heard(lasting), asked()).what


def test_ecs_own_words_are_shown_without_what_surrounds_them():
    found = explained("insufficient memory")
    assert "MEMORY = 15000 does not fit" in found.what
    assert "container-instance 1) has insufficient memory available." in found.what
    assert "Developer Guide" not in found.what and "AppService" not in found.what


def test_a_machine_that_is_busy_keeps_the_others_reasons_quiet():
    seen = replace(BUSY, machines=(machine(1), booting(2, age=3600)))
    assert why_idle.why(seen, Heard(), asked()) is None
