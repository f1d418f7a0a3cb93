"""That what became of a job is told and its message settled, whatever else goes wrong then."""

from __future__ import annotations

import shutil

import pytest
from botocore.exceptions import EndpointConnectionError

from plumbing import attempt, persistence
from plumbing.failures import JobFailed


def write_result(job):
    (job.output_dir / "result.txt").write_text(job.name)


def removes_its_folder(job):
    shutil.rmtree(job.folder)


def removes_its_folder_and_fails(job):
    shutil.rmtree(job.folder)
    raise JobFailed("my own reason")


@pytest.mark.parametrize(
    ("run_job", "reason"),
    [
        (removes_its_folder, "run_job wrote nothing"),
        (removes_its_folder_and_fails, "my own reason"),
    ],
)
def test_a_job_that_removes_its_own_folder_still_tells_why_it_failed(
    cloud, make_worker, attend, run_job, reason
):
    cloud.send({"name": "A1"})

    attend(make_worker(run_job))

    assert reason in cloud.record("failed", "attempts")["reason"]
    assert cloud.waiting() == (0, 1)


def test_an_error_in_the_worker_itself_is_a_failed_attempt_that_says_so(
    cloud, make_worker, attend, monkeypatch, capfd
):
    def breaks(*arguments):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("plumbing.upload.items_of", breaks)
    cloud.send({"name": "A1"})
    worker = make_worker(write_result, JOB_RETRIES="1")

    attend(worker)

    assert cloud.record("failed")["reason"] == (
        "error in the worker itself: ZeroDivisionError: a bug"
    )
    assert "Traceback" in capfd.readouterr().err


def test_a_stopped_job_goes_to_another_machine_even_if_s3_takes_no_mark_of_it(
    cloud, make_worker, attend, monkeypatch, capfd
):
    monkeypatch.setattr(attempt, "MARK_AFTER_STOP", 0.5)
    monkeypatch.setattr(attempt, "SETTLE_AFTER_STOP", 1.0)
    monkeypatch.setattr(persistence, "FIRST_PAUSE", 0.1)
    cloud.send({"name": "A1"})
    worker = make_worker(write_result, protect=lambda: worker.stop.set("spot interruption"))

    def refuse(**more):
        if worker.stop.is_set:
            raise EndpointConnectionError(endpoint_url="http://aws")

    worker.clients.s3.meta.events.register("before-send.s3", refuse)

    attend(worker)

    assert cloud.waiting() == (1, 0)
    assert cloud.states("attempts") == []
    assert "not marked as interrupted" in capfd.readouterr().out


def test_a_mark_that_s3_refuses_for_good_does_not_keep_the_message_either(
    cloud, make_worker, attend, capfd
):
    cloud.send({"name": "A1"})
    worker = make_worker(write_result)
    worker.stop.set("spot interruption")

    def deny(params, **more):
        if "attempts" in params["url"]:
            worker.clients.s3.head_bucket(Bucket="no-such-bucket")

    worker.clients.s3.meta.events.register("before-call.s3.PutObject", deny)

    attend(worker)

    assert cloud.waiting() == (1, 0)
    assert "not marked as interrupted" in capfd.readouterr().out
