"""What is looked up about a job before it is run: records, attempts, outputs, where outputs go."""

from __future__ import annotations

import json
import sys

import pytest
from botocore.exceptions import EndpointConnectionError

from plumbing import attempt, lookup
from plumbing import retrying as persistence

THREE = "abc"


def write_three(job):
    for name in THREE:
        (job.output_dir / name).write_text(name)


def uploads_end_after_the_first(worker):
    """As by a machine that goes away in mid-upload: no other file gets to S3."""
    begun = []

    def stop(params, **more):
        begun.append(params["url"])
        if "/out/" in params["url"] and len(begun) > 1:
            worker.stop.set("spot interruption")
            raise EndpointConnectionError(endpoint_url="http://aws")

    worker.clients.s3.meta.events.register("before-call.s3.PutObject", stop)


@pytest.mark.parametrize("submission", ["1", "2"])
def test_outputs_of_an_attempt_that_was_cut_off_do_not_make_a_job_done(
    cloud, make_worker, attend, monkeypatch, submission
):
    monkeypatch.setattr(attempt, "UPLOAD_AFTER_STOP", 0.0)
    monkeypatch.setattr(persistence, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr("plumbing.upload.CONNECTIONS", 1)
    cloud.send({"name": "A1"})
    worker = make_worker(write_three, CHECK_IF_DONE_BOOL="True")
    uploads_end_after_the_first(worker)
    attend(worker)
    assert len(cloud.names("out/")) == 1
    if submission == "2":
        cloud.sqs.purge_queue(QueueUrl=cloud.queue_url)
        cloud.sqs.send_message(
            QueueUrl=cloud.queue_url,
            MessageBody=json.dumps({"group": {"name": "A1"}}),
            MessageAttributes={"submission": {"DataType": "Number", "StringValue": "2"}},
        )

    attend(make_worker(write_three, CHECK_IF_DONE_BOOL="True"))

    assert cloud.states("records") == ["done.json"]
    assert cloud.names("out/") == [f"out/A1/{name}" for name in THREE]


def test_an_output_prefix_that_exits_fails_the_job_and_not_the_worker(cloud, make_worker, attend):
    def leave(job):
        sys.exit(3)

    cloud.send({"name": "A1"})

    attend(make_worker(write_three, prefix=leave))

    assert "SystemExit: 3" in cloud.record("failed", "attempts")["reason"]


def test_outputs_among_the_records_fail_the_job(cloud, make_worker, attend):
    cloud.send({"name": "A1"})

    attend(make_worker(write_three, prefix=lambda job: "runs/App/R1/records"))

    assert cloud.states("records") == ["failed.json"]
    assert "for the records" in cloud.record("failed")["reason"]


def test_records_lie_elsewhere_if_outputs_have_a_bucket_of_their_own(cloud, make_worker, attend):
    cloud.s3.create_bucket(Bucket=f"{cloud.bucket}-results")
    cloud.send({"name": "A1"})

    attend(
        make_worker(
            write_three,
            prefix=lambda job: "runs/today",
            DESTINATION_BUCKET=f"{cloud.bucket}-results",
        )
    )

    assert cloud.states("records") == ["done.json"]


def test_a_job_that_is_interrupted_without_end_is_given_up_before_sqs_drops_it(
    cloud, make_worker, attend, monkeypatch
):
    monkeypatch.setattr(lookup, "MOST_RECEIVES_ABOVE_RETRIES", 0)
    cloud.send({"name": "A1"})
    for _ in range(2):
        worker = make_worker(write_three)
        worker.stop.set("spot interruption")
        attend(worker)
    assert cloud.states("attempts") == ["1.1.interrupted.json", "1.2.interrupted.json"]

    attend(make_worker(write_three, JOB_RETRIES="3"))

    assert cloud.record("failed")["reason"].startswith("interrupted 2 times")
    assert len(cloud.dead_letters()) == 1
    assert cloud.names("out/") == []
