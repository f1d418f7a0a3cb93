"""Workers that vanish without a word: kill -9, at every moment of a job."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.site import BUSY_SECONDS, Site, alive, until
from tests.faults.together import together

VISIBILITY = 8
# Beside the visibility: finding the message, and doing the job.
SLACK = 15.0


@pytest.mark.parametrize("victim", ["worker", "container"])
@together(25, SQS_MESSAGE_VISIBILITY=VISIBILITY)
def test_a_job_whose_worker_is_killed_is_finished_by_another_soon(site: Site, victim):
    gate = site.folder / "gate"
    site.send("hit", wait=str(gate), files={"a.txt": 10, "b.txt": 20_000, "c.txt": 300_000})
    first = site.start()
    (run,) = until(site.runs, BUSY_SECONDS)
    second = site.start(DOCKER_CORES=2)
    until(lambda: "ReceiveMessage" in second.proxy.operations(), BUSY_SECONDS)

    killed = time.monotonic()
    if victim == "worker":
        # It starts again only later than the message comes.
        os.kill(run.worker, signal.SIGKILL)
        until(lambda: not alive(run.process), BUSY_SECONDS)
    first.kill()
    gate.touch()
    assert site.written("records") == []

    until(site.is_settled, VISIBILITY + SLACK)
    assert time.monotonic() - killed <= VISIBILITY + SLACK
    site.assert_all_done()
    assert len(site.runs()) == 2
    assert site.record("hit", "done")["receive"] == 2
    assert not alive(run.process)


@together(40, SQS_MESSAGE_VISIBILITY=5, JOB_RETRIES=3)
def test_a_job_whose_container_is_killed_each_time_is_given_up_with_that_reason(site: Site):
    site.send("cursed", seconds=300)
    for number in range(3):
        container = site.start()
        until(lambda: len(site.runs()) == number + 1, BUSY_SECONDS)  # noqa: B023
        container.kill()
    site.start()

    until(site.is_settled, BUSY_SECONDS)

    assert len(site.runs()) == 3
    assert site.written("records") == ["failed.json"]
    record = site.record("cursed", "failed")
    assert "killed 3 times without a word" in record["reason"]
    assert (record["attempt"], record["attempts_allowed"]) == (3, 3)
    ((body, reason),) = site.dead_letters()
    assert '"cursed"' in body and "killed 3 times without a word" in reason
