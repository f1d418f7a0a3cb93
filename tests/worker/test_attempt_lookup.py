"""Lookups about a job before it is run: records, attempts, outputs, where outputs go."""

from __future__ import annotations

import sys

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from plumbing import attempt
from plumbing.settings import read_settings

THREE = "abc"


def write_three(job):
    for name in THREE:
        (job.output_dir / name).write_text(name)


def uploads_end_after_the_first(worker):
    """Let no file reach S3 after the first, as if the machine went away during the upload."""
    begun = []

    def stop(params, **more):
        begun.append(params["url"])
        if "/out/" in params["url"] and len(begun) > 1:
            worker.stop.set("spot interruption")
            raise EndpointConnectionError(endpoint_url="http://aws")

    worker.clients.s3.meta.events.register("before-call.s3.PutObject", stop)


@pytest.mark.parametrize("submission", ["1", "2"])
def test_outputs_of_an_attempt_that_was_cut_off_do_not_make_a_job_done(
    cloud, make_worker, attend, monkeypatch, submission, quick_retries
):
    monkeypatch.setattr(attempt, "UPLOAD_AFTER_STOP", 0.0)
    monkeypatch.setattr("plumbing.upload.CONNECTIONS", 1)
    cloud.send({"name": "A1"})
    worker = make_worker(write_three, CHECK_IF_DONE_BOOL="True")
    uploads_end_after_the_first(worker)
    attend(worker)
    assert len(cloud.names("out/")) == 1
    if submission == "2":
        cloud.sqs.purge_queue(QueueUrl=cloud.queue_url)
        cloud.send({"name": "A1"}, {"submission": "2"})

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

    attend(make_worker(write_three, prefix=lambda job: "runs/App/R/records"))

    assert cloud.states("records") == ["bad_output.failed.json"]
    assert "for the records" in cloud.record("failed")["reason"]


def test_records_are_elsewhere_if_outputs_have_their_own_bucket(cloud, make_worker, attend):
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


def test_a_job_that_is_interrupted_without_end_fails_for_good_before_sqs_drops_it(
    cloud, make_worker, attend, monkeypatch
):
    monkeypatch.setattr(attempt, "MOST_RECEIVES_ABOVE_RETRIES", 0)
    cloud.send({"name": "A1"})
    for _ in range(2):
        worker = make_worker(write_three)
        worker.stop.set("spot interruption")
        attend(worker)
    assert cloud.states("attempts") == ["1.1.interrupted.json", "1.2.interrupted.json"]

    attend(make_worker(write_three, JOB_RETRIES="3"))

    assert cloud.record("failed")["reason"].startswith("interrupted 2 times")
    assert cloud.states("records") == ["interrupted.failed.json"]
    assert len(cloud.dead_letters()) == 1
    assert cloud.names("out/") == []


LEAST = {
    "SQS_QUEUE_URL": "q",
    "AWS_BUCKET": "bucket",
    "APP_NAME": "App",
    "RUN_ID": "R1",
    "AWS_REGION": "us-east-1",
    "DESTINATION_BUCKET": "results",
}


def settings_of(**values):
    return read_settings({**LEAST, **values})


@pytest.mark.parametrize(
    ("name", "size", "settings", "counted"),
    [
        ("a.csv", 1, {}, True),
        ("a.csv", 0, {}, False),
        ("a.csv", 99, {"MIN_FILE_SIZE_BYTES": "100"}, False),
        ("a.csv", 100, {"MIN_FILE_SIZE_BYTES": "100"}, True),
        ("sub/table.csv", 1, {"NECESSARY_STRING": ".csv"}, True),
        ("sub/table.txt", 1, {"NECESSARY_STRING": ".csv"}, False),
    ],
)
def test_which_files_count(name, size, settings, counted):
    assert attempt.is_output(name, size, settings_of(**settings)) is counted


@pytest.mark.parametrize(("expected", "done"), [(1500, True), (1501, False)])
def test_more_than_a_thousand_objects_are_counted(cloud, expected, done):
    pages = [range(1000), range(1000, 1500)]
    with Stubber(cloud.s3) as stub:
        for number, page in enumerate(pages):
            token = {"ContinuationToken": "next"} if number else {}
            more = {"IsTruncated": True, "NextContinuationToken": "next"} if number == 0 else {}
            stub.add_response(
                "list_objects_v2",
                {"Contents": [{"Key": f"out/A1/{n}", "Size": 1} for n in page], **more},
                {"Bucket": "results", "Prefix": "out/A1/", **token},
            )
        settings = settings_of(EXPECTED_NUMBER_FILES=str(expected))

        found = attempt.outputs_are_there(cloud.s3, settings, "out/A1", lambda: None)

    assert found is done


def test_the_outputs_of_a_job_whose_name_only_begins_alike_do_not_count(cloud):
    cloud.s3.put_object(Bucket=cloud.bucket, Key="out/A10/x", Body=b"x")
    settings = settings_of(DESTINATION_BUCKET=cloud.bucket)

    assert not attempt.outputs_are_there(cloud.s3, settings, "out/A1", lambda: None)
    assert attempt.outputs_are_there(cloud.s3, settings, "out/A10", lambda: None)


def test_the_prefix_itself_does_not_hold_the_necessary_string(cloud):
    cloud.s3.put_object(Bucket=cloud.bucket, Key="csv/A1/x.txt", Body=b"x")
    settings = settings_of(DESTINATION_BUCKET=cloud.bucket, NECESSARY_STRING="csv")

    assert not attempt.outputs_are_there(cloud.s3, settings, "csv/A1", lambda: None)


def test_a_job_that_is_to_write_nothing_is_never_done_already():
    settings = settings_of(EXPECTED_NUMBER_FILES="0")

    assert not attempt.outputs_are_there(None, settings, "out", lambda: None)
