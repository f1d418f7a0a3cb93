"""Workers that vanish silently: kill -9, at every moment of a job."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.proxy import Hold
from tests.faults.site import BUSY_SECONDS, Site, alive, until
from tests.faults.together import together

VISIBILITY = 8
# In addition to the visibility: finding the message, and doing the job.
SLACK = 15.0
OUTPUTS = {"a.txt": 10, "b.txt": 20_000, "c.txt": 300_000}
LARGE = {"large.bin": 9 << 20, "small.txt": 10}
LARGE_LOG = dict(OUTPUTS)
# A job for each boundary: its outputs, the call at which its worker is killed ("before" AWS gets
# it or "after" it has executed it), how often the job is run in all, and whether it is recorded
# as done at that moment.
BOUNDARIES = {
    "received": (OUTPUTS, "ReceiveMessage", "received", "after", 1, False),
    "looked-up": (OUTPUTS, "HeadObject", ".done.json", "before", 1, False),
    "running": (OUTPUTS, "", "", "", 2, False),
    "nothing-uploaded": (OUTPUTS, "PutObject", "/", "before", 2, False),
    "half-uploaded": (OUTPUTS, "PutObject", "/b.txt", "before", 2, False),
    "half-uploaded-unheard": (OUTPUTS, "PutObject", "/b.txt", "after", 2, False),
    "part-uploaded": (LARGE, "UploadPart", "large.bin", "after", 2, False),
    "parts-not-joined": (LARGE, "CompleteMultipartUpload", "large.bin", "before", 2, False),
    "parts-joined": (LARGE, "CompleteMultipartUpload", "large.bin", "after", 2, False),
    "log-not-uploaded": (LARGE_LOG, "PutObject", "/logs/", "before", 2, False),
    "uploaded": (OUTPUTS, "PutObject", ".done.json", "before", 2, False),
    "record-written": (OUTPUTS, "PutObject", ".done.json", "after", 1, True),
    "not-deleted": (OUTPUTS, "DeleteMessage", "", "before", 1, True),
    "deleted": (OUTPUTS, "DeleteMessage", "", "after", 1, True),
}


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
        os.kill(run.worker, signal.SIGKILL)
        until(lambda: not alive(run.process), BUSY_SECONDS)
    else:
        first.kill()
    gate.touch()
    assert site.written("records") == []

    until(site.is_settled, VISIBILITY + SLACK)
    assert time.monotonic() - killed <= VISIBILITY + SLACK
    site.assert_all_done()
    assert len(site.runs()) == 2
    assert site.record("hit", "done")["receive"] == 2
    assert not alive(run.process)
    if victim == "container":
        # What is on its disk goes as soon as there is a container again.
        assert site.left_in_work_folder() != []
        third = site.start()
        until(lambda: "ReceiveMessage" in third.proxy.operations(), BUSY_SECONDS)
    until(lambda: site.left_in_work_folder() == [], BUSY_SECONDS)


@together(40, SQS_MESSAGE_VISIBILITY=5, JOB_RETRIES=3)
def test_a_job_whose_container_is_killed_each_time_fails_for_good_with_that_cause(site: Site):
    site.send("cursed", seconds=300)
    for number in range(3):
        container = site.start()
        until(lambda: len(site.runs()) == number + 1, BUSY_SECONDS)  # noqa: B023
        container.kill()
    site.start()

    until(site.is_settled, BUSY_SECONDS)

    assert len(site.runs()) == 3
    assert site.written("records") == ["killed.failed.json"]
    record = site.record("cursed", "killed.failed")
    assert record["cause"] == "killed" and "silently 3 times" in record["reason"]
    assert (record["attempt"], record["attempts_allowed"]) == (3, 3)
    ((body, reason),) = site.dead_letters()
    assert '"cursed"' in body and "ended silently 3 times" in reason


@together(40, SQS_MESSAGE_VISIBILITY=20, CHECK_IF_DONE_BOOL=True)
def test_a_kill_at_whatever_boundary_loses_nothing_and_never_leaves_a_false_record(site: Site):
    holds = {}
    for name, (outputs, operation, _, where, _, _) in BOUNDARIES.items():
        if operation:
            holds[name] = Hold(where, lambda answer, text=f'\\"{name}\\"': text.encode() in answer)
            if operation != "ReceiveMessage":
                holds[name].holding = lambda answer: True
        waits = {} if operation else {"wait": str(site.folder / "gate")}
        log = {"log_bytes": 100_000} if outputs is LARGE_LOG else {}
        site.send(name, files=outputs, **waits, **log)

    def rule(call):
        for name, (_, operation, part, _, _, _) in BOUNDARIES.items():
            ours = site.ids[name] in call.path or f"/{name}/" in call.path
            ours = ours or f'"{name}"' in call.text or operation == "ReceiveMessage"
            if operation == call.operation and ours and (part in call.path or part == name):
                return holds[name]
        return None

    first = site.start(rule, DOCKER_CORES=len(BOUNDARIES))
    until(lambda: all(hold.held.is_set() for hold in holds.values()), BUSY_SECONDS)
    until(lambda: site.runs("running"), BUSY_SECONDS)
    first.kill()

    for name, (*_, recorded) in BOUNDARIES.items():
        assert site.written("records", name) == (["done.json"] if recorded else []), name
        assert not recorded or site.lacking(name) == [], name
    (site.folder / "gate").touch()
    site.start(DOCKER_CORES=4)
    until(site.is_settled, 20 + BUSY_SECONDS)
    site.assert_all_done()
    for name, (*_, runs, _) in BOUNDARIES.items():
        assert len(site.runs(name)) == runs, name
    until(lambda: site.left_in_work_folder() == [], BUSY_SECONDS)
