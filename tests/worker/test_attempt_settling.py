"""The outcome of a job is recorded and its message settled, whatever else goes wrong then."""

from __future__ import annotations

import shutil
import threading

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

from plumbing import attempt
from plumbing.errors import JobFailed
from plumbing.lease import Lease


def write_result(job):
    (job.output_dir / "result.txt").write_text(job.name)


@pytest.fixture
def interrupted(cloud, make_worker, quick_retries):
    """Send a job, and make a worker that is told to stop before it starts the program."""

    def make():
        cloud.send({"name": "A1"})
        worker = make_worker(write_result, protect=lambda: worker.stop.set("spot interruption"))
        return worker

    return make


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
    assert cloud.states("records") == ["worker_error.failed.json"]
    assert "Traceback" in capfd.readouterr().err


def test_a_stopped_job_goes_to_another_machine_even_if_s3_takes_no_mark_of_it(
    cloud, interrupted, attend, monkeypatch, capfd
):
    monkeypatch.setattr(attempt, "MARK_AFTER_STOP", 0.5)
    monkeypatch.setattr(attempt, "SETTLE_AFTER_STOP", 1.0)
    worker = interrupted()

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


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="http://aws"),
        ClientError({"ResponseMetadata": {"HTTPStatusCode": 500}}, "ChangeMessageVisibility"),
    ],
)
def test_what_was_given_back_is_not_taken_from_its_next_worker_if_no_answer_says_so(
    cloud, interrupted, attend, capfd, error
):
    worker, asked = interrupted(), []

    def lose_the_answer(request, **more):
        asked.append(1)
        session = URLLib3Session()
        assert session.send(request).status_code == 200
        session.close()
        # The next worker has waited for it.
        assert cloud.receive()
        raise error

    worker.clients.sqs.meta.events.register(
        "before-send.sqs.ChangeMessageVisibility", lose_the_answer
    )

    attend(worker)

    assert len(asked) == 1
    assert cloud.waiting() == (0, 1)
    assert cloud.states("attempts") == ["1.1.interrupted.json"]
    assert "INTERRUPTED A1" in cloud.log(cloud.record("interrupted", "attempts"))
    assert "it becomes visible by itself" in capfd.readouterr().out


def test_a_give_back_that_never_got_to_sqs_is_repeated(cloud, interrupted, attend):
    worker, asked = interrupted(), []

    def refuse_twice(request, **more):
        asked.append(1)
        if len(asked) < 3:
            raise EndpointConnectionError(endpoint_url=request.url)

    worker.clients.sqs.meta.events.register("before-send.sqs.ChangeMessageVisibility", refuse_twice)

    attend(worker)

    assert len(asked) == 3
    assert cloud.waiting() == (1, 0)


def test_a_job_that_nothing_can_keep_does_not_run(
    cloud, make_worker, attend, monkeypatch, tmp_path
):
    """The machine has no thread left for its lease."""
    start, run = threading.Thread.start, tmp_path / "run"

    def refuse(thread):
        if thread.name == "lease":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    kept = []
    monkeypatch.setattr(Lease, "keep_if_due", lambda lease: kept.append(lease))
    cloud.send({"name": "A1"})
    worker = make_worker(lambda job: run.touch())

    why = attend(worker).reason

    assert why == "the machine cannot start a thread to keep the job: can't start new thread"
    assert cloud.record("failed", "attempts")["reason"] == why
    assert not run.exists()
    assert len(kept) >= len(cloud.names("runs/")) > 0  # asked before each write
    assert cloud.waiting() == (0, 1)
