"""The right to work on a job: only the worker that holds its message has it, until the end."""

from __future__ import annotations

import re
import time

import pytest

from tests.faults.proxy import Break, Hold
from tests.faults.site import BUSY_SECONDS, Site, until
from tests.faults.together import together

SHORT = 4
VISIBILITY = 8


@together(50, SQS_MESSAGE_VISIBILITY=SHORT)
def test_a_job_ten_times_longer_than_the_visibility_is_run_once(site: Site):
    site.send("long", seconds=10 * SHORT)
    containers = [site.start(), site.start()]

    until(site.is_settled, 10 * SHORT + BUSY_SECONDS)

    site.assert_all_done()
    assert len(site.runs()) == 1
    assert site.record("long", "done")["receive"] == 1
    assert site.record("long", "done")["seconds"] >= 10 * SHORT
    # Both had asked all the time.
    assert all("ReceiveMessage" in one.proxy.operations() for one in containers)


@pytest.mark.parametrize(
    ("operation", "part", "calls"),
    [
        ("", "", 0),
        ("PutObject", "/out/", 2),
        ("UploadPart", "/out/", 2),
        ("PutObject", ".done.json", 3),
    ],
    ids=["running", "uploading", "uploading-parts", "recording"],
)
@together(35, SQS_MESSAGE_VISIBILITY=VISIBILITY)
def test_a_worker_paused_for_longer_than_its_lease_writes_nothing_after_it(
    site: Site, operation, part, calls
):
    """The worker was paused in the middle of the job, or during `calls` that then fail."""
    hold = Hold("before")
    hold.then = Break("before")

    def rule(call):
        hit = call.operation == operation and part in call.path
        return hold if hit and not hold.let_go.is_set() else None

    large = {"large.bin": 9 << 20} if operation == "UploadPart" else {}
    outputs = {"a.txt": 10, "b.txt": 500, **large}
    # Each run has a gate of its own.
    site.send("job", wait=str(site.folder / "gate-{run}"), files=outputs)
    late = site.start(rule)
    until(site.runs, BUSY_SECONDS)
    if operation:
        (site.folder / "gate-1").touch()
        until(lambda: late.proxy.operations().count(operation) == calls, BUSY_SECONDS)
        until(hold.held.is_set, BUSY_SECONDS)
    late.freeze()
    other = site.start()
    until(lambda: len(site.runs()) == 2, VISIBILITY + BUSY_SECONDS)

    (site.folder / "gate-1").touch()
    thawed = time.monotonic()
    late.thaw()
    hold.let_go.set()
    # It is itself again when it asks for the next job.
    until(lambda: "ReceiveMessage" in late.proxy.operations(thawed), BUSY_SECONDS)

    asked = late.proxy.operations(thawed)
    # It may have been paused between its look at the clock and the request for an extension, which
    # SQS grants for what is another's now, and which harms nobody.
    assert set(asked) <= {"ReceiveMessage", "Abort", "ChangeMessageVisibility"}
    assert asked.count("ChangeMessageVisibility") <= 1
    assert site.written("records") == [] and site.waiting() == (0, 1)
    (site.folder / "gate-2").touch()
    until(site.is_settled, BUSY_SECONDS)
    site.assert_all_done()
    assert len(site.runs()) == 2
    assert site.record("job", "done")["receive"] == 2
    lost = "nothing more is written" if part == ".done.json" else r"LOST job after [\d.]+ s"
    assert re.search(rf"\[job\] {lost}: no extension of the lease succeeded in time", late.text)
    other.stop()
    site.send("next")
    until(site.is_settled, BUSY_SECONDS)
    site.assert_all_done()


@together(40, SQS_MESSAGE_VISIBILITY=VISIBILITY)
def test_a_job_whose_first_question_to_s3_gets_no_answer_stays_with_its_worker(site: Site):
    def rule(call):
        unanswered = call.operation == "HeadObject" and call.number == 1
        return Break("nothing") if unanswered else None

    site.send("job", seconds=2 * VISIBILITY)
    first = site.start(rule)
    until(lambda: "HeadObject" in first.proxy.operations(), BUSY_SECONDS)
    second = site.start()

    until(site.is_settled, 2 * VISIBILITY + BUSY_SECONDS)
    site.assert_all_done()
    assert len(site.runs()) == 1
    assert site.record("job", "done")["receive"] == 1
    assert set(second.proxy.operations()) == {"ReceiveMessage"}
