"""The monitor's loop: what it survives, and what it gives up at."""

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from control.aws import ecs
from control.aws.sqs import Counts
from control.monitoring import observe
from control.monitoring.pace import Pace
from control.verbs import monitor
from tests.conftest import entry_of
from tests.control.readings import BUSY, machine

AT_ONCE = Pace(poll=0.1, settle=0.3, spare=0.3, register=60)


@pytest.mark.parametrize(
    ("queue", "busy", "words"),
    [
        (Counts(3, 2, 0), 1, "3 waiting, 2 running, "),
        (Counts(3, 2, 1), 3, "4 waiting, 2 running, "),
        (Counts(0, 5, 0), 2, "0 waiting, 1 for a next attempt, 4 running, "),
        (Counts(0, 1, 0), 0, "0 waiting, 1 for a next attempt, 0 running, "),
        (None, 0, ""),
    ],
)
def test_a_job_that_nobody_works_at_waits_for_its_next_attempt(queue, busy, words):
    machines = tuple(machine(n, busy=int(n < busy)) for n in range(3))
    seen = replace(BUSY, queue=queue, machines=machines)
    assert monitor.in_words(seen, jobs_at_once=2) == (
        f"200 jobs: {words}94 done, 0 failed; 3 machines, 3 containers"
    )


def refused(code, status):
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "DescribeX"
    )


@pytest.fixture
def failing(set_up):
    """A run whose first requests to SQS fail so often, with that error."""
    aws, _, run = set_up()
    left = []

    def fail(**_):
        if left:
            raise left.pop()

    aws.sqs.meta.events.register("before-send.sqs", fail)

    def start(error, times):
        left.extend([error] * times)
        return aws, run, left

    yield start
    left.clear()
    aws.sqs.meta.events.unregister("before-send.sqs", fail)


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://sqs"),
        refused("ThrottlingException", 400),
        refused("ServiceUnavailable", 503),
    ],
    ids=["no network", "throttled", "unavailable"],
)
def test_an_aws_that_does_not_answer_is_waited_for(failing, error):
    aws, run, left = failing(error, 3)
    assert monitor.watch(aws, run, AT_ONCE).submitted == 0
    assert left == []


def test_what_waiting_does_not_mend_is_said_at_once(failing):
    aws, run, left = failing(refused("AccessDenied", 403), 3)
    with pytest.raises(ClientError):
        monitor.watch(aws, run, AT_ONCE)
    assert len(left) == 2


def test_waiting_has_an_end(failing):
    aws, run, _ = failing(ConnectTimeoutError(endpoint_url="https://sqs"), 10_000)
    times = iter(range(0, 10_000, 50))
    pace = Pace(poll=1, patience=300)
    with pytest.raises(ConnectTimeoutError):
        monitor.watch(aws, run, pace, clock=lambda: next(times), sleep=lambda _: None)


def test_containers_of_before_the_last_request_are_not_held_against_it(set_up, monkeypatch):
    aws, _, run = set_up()
    asked = []
    monkeypatch.setattr(ecs, "why_stopped", lambda ecs, run, since: asked.append(since) or [])
    run = replace(run, fleets=(entry_of(requested="2026-01-01T00:00:00Z"),))
    observe.observe(aws, run, now=0)
    assert asked == [1767225600.0]
