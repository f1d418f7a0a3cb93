"""AWS that throttles, fails, breaks connections or says nothing, for a while or now and then."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.proxy import PAGE, Answer, Break
from tests.faults.site import BUSY_SECONDS, FAULT_SECONDS, FULL, Site, until
from tests.faults.together import together

S3_FAULTS = {
    "slow-down": Answer(503, "SlowDown"),
    "error-500": Answer(500, "InternalError"),
    "reset": Break("before"),
    "answer-lost": Break("after"),
    "request-cut": Break("request"),
    "answer-cut": Break("answer"),
    "nothing": Break("nothing"),
}
SQS_FAULTS = {
    "throttled": Answer(400, "RequestThrottled"),
    "error-503": Answer(503, "ServiceUnavailable"),
    "unreachable": Break("before"),
    "nothing": Break("nothing"),
}
LARGE = 9 << 20
# A request that gets no answer is abandoned after 20 s (S3), and its pauses are up to 15 s.
ANSWER_SECONDS = 20
# With this visibility a job survives an outage that begins at any time: the lease was extended at
# most a third of the visibility ago, is requested again every twentieth of it or after 5 s without
# an answer, and is abandoned 10 s, or a quarter of the visibility, before its end.
ENOUGH = 300 if FULL else 50
# More than a job writes, so that it is never skipped.
DONE_CHECK = {"CHECK_IF_DONE_BOOL": True, "EXPECTED_NUMBER_FILES": 100}
SEED = 20_260_102
# So that a job comes to an end in a test where each takes 20 s.
MOST_HITS = 12
TOO_SHORT = round(0.75 * FAULT_SECONDS)


class Outage:
    """A fault of one service for FAULT_SECONDS from the first call of one of `operations` on, and
    again for each further one of them."""

    def __init__(self, service, fault, *operations):
        self.service, self.fault = service, fault
        self.ahead = list(operations)
        self.until = 0.0
        self.hits = 0

    def __call__(self, call):
        if call.service != self.service:
            return None
        if call.operation in self.ahead and call.at >= self.until:
            self.ahead.remove(call.operation)
            self.until = call.at + FAULT_SECONDS
        if call.at < self.until:
            self.hits += 1
            return self.fault
        return None


def _send(site: Site, fault: str) -> None:
    """A job that downloads a large file and a small one, and writes as much.

    The inputs are a prefix of several pages, and so is what the done-check finds; but only small
    ones and few where each call that is hit takes 20 s.
    """
    inputs = {f"in/{number}.txt": 100 for number in range(2 * PAGE + 1)}
    outputs = {"a.txt": 10, "b.txt": 20_000}
    if fault == "nothing":
        inputs = dict(list(inputs.items())[: PAGE + 1])
    else:
        inputs["in/large.bin"] = 20 << 20
        outputs["large.bin"] = LARGE
    for key, size in inputs.items():
        site.s3.put_object(Bucket=site.bucket, Key=key, Body=b"x" * size)
    for number in range(PAGE + 1):
        site.s3.put_object(Bucket=site.bucket, Key=f"out/job/old-{number}", Body=b"x")
    site.send("job", inputs="in/", files=outputs)


def _assert_done_at_once(site: Site) -> None:
    site.assert_all_done()
    assert len(site.runs()) == 1
    record = site.record("job", "done")
    assert (record["receive"], record["attempt"]) == (1, 1)


@pytest.mark.parametrize("fault", S3_FAULTS)
@together(60, SQS_MESSAGE_VISIBILITY=20, **DONE_CHECK)
def test_a_job_is_done_at_once_though_one_call_to_s3_in_three_fails(site: Site, fault):
    """At random, so that some fail more than once; and one listing of each kind in any case."""
    _send(site, fault)
    pick = random.Random(f"{SEED} {fault}")
    hits = []

    def rule(call):
        if call.service != "s3" or len(hits) == MOST_HITS:
            return None
        first_listing = call.operation == "ListObjectsV2" and call.operation not in hits
        if not first_listing and pick.random() >= 1 / 3:
            return None
        hits.append(call.operation)
        return S3_FAULTS[fault]

    container = site.start(rule)
    until(site.is_settled, MOST_HITS * ANSWER_SECONDS + BUSY_SECONDS)
    _assert_done_at_once(site)
    assert len(hits) >= 4, (SEED, hits)
    assert container.proxy.operations().count("ListObjectsV2") >= 5, (SEED, hits)


@pytest.mark.parametrize("fault", S3_FAULTS)
@together(80, SQS_MESSAGE_VISIBILITY=20, **DONE_CHECK)
def test_a_job_is_done_at_once_though_s3_is_out_for_long_at_each_of_its_steps(site: Site, fault):
    _send(site, fault)
    steps = ["HeadObject", "ListObjectsV2", "GetObject", "PutObject", "UploadPart"]
    outage = Outage("s3", S3_FAULTS[fault], *(steps[:4] if fault == "nothing" else steps))

    site.start(outage)
    until(site.is_settled, 5 * (FAULT_SECONDS + 2 * ANSWER_SECONDS) + BUSY_SECONDS)
    _assert_done_at_once(site)
    assert outage.ahead == [] and outage.hits >= 3


@together(20, SQS_MESSAGE_VISIBILITY=20)
def test_a_large_output_whose_last_answer_was_lost_is_found_to_be_there(site: Site):
    """S3 no longer knows the upload when asked again, and then it is unavailable for a moment."""
    faults = {
        "CompleteMultipartUpload": [Break("after"), Answer(404, "NoSuchUpload")],
        "HeadObject": [Answer(503, "SlowDown")],
    }

    def rule(call):
        left = faults.get(call.operation) if "/out/" in call.path else None
        return left.pop(0) if left else None

    site.send("job", files={"large.bin": LARGE})
    site.start(rule)
    until(site.is_settled, BUSY_SECONDS)
    _assert_done_at_once(site)
    assert not any(faults.values())


@pytest.mark.parametrize("fault", SQS_FAULTS)
@together(60, SQS_MESSAGE_VISIBILITY=ENOUGH)
def test_a_job_outlives_an_outage_of_sqs_that_its_visibility_covers(site: Site, fault):
    """It fails in the middle of the job, and again when the message is to be deleted."""
    outage = Outage("sqs", SQS_FAULTS[fault], "ChangeMessageVisibility", "DeleteMessage")
    site.send("job", seconds=ENOUGH)

    container = site.start(outage)
    until(site.is_settled, ENOUGH + 2 * FAULT_SECONDS + 2 * ANSWER_SECONDS + BUSY_SECONDS)
    _assert_done_at_once(site)
    assert outage.ahead == [] and outage.hits >= 2
    site.send("next")
    until(site.is_settled, BUSY_SECONDS)
    site.assert_all_done()
    assert container.process.poll() is None


@pytest.mark.parametrize("fault", SQS_FAULTS)
@together(60, SQS_MESSAGE_VISIBILITY=TOO_SHORT)
def test_an_outage_of_sqs_longer_than_the_visibility_has_the_job_done_again_and_once(
    site: Site, fault
):
    outage = Outage("sqs", SQS_FAULTS[fault], "ChangeMessageVisibility")
    site.send("job", wait=str(site.folder / "gate-{run}"))
    (site.folder / "gate-2").touch()

    lost = site.start(outage)
    until(lambda: "no extension of the lease" in lost.text, FAULT_SECONDS + BUSY_SECONDS)
    until(site.is_settled, FAULT_SECONDS + 2 * ANSWER_SECONDS + BUSY_SECONDS)
    site.assert_all_done()
    assert len(site.runs()) == 2
    assert site.written("attempts") == []
    assert site.record("job", "done")["attempt"] == 2


@together(20, SQS_MESSAGE_VISIBILITY=20)
def test_a_worker_that_finds_sqs_out_takes_jobs_as_soon_as_it_is_back(site: Site):
    outage = Outage("sqs", Answer(503, "ServiceUnavailable"), "ReceiveMessage")
    site.send("job")

    container = site.start(outage)
    until(site.is_settled, FAULT_SECONDS + 30 + BUSY_SECONDS)
    _assert_done_at_once(site)
    assert "could not receive a message" in container.text
    assert time.monotonic() >= outage.until
