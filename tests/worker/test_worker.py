from __future__ import annotations

import errno
import os
import threading

import pytest

from plumbing import machine
from plumbing import worker as loop
from plumbing.lease import boot_clock
from plumbing.machine import Trouble


@pytest.mark.parametrize(
    ("idle", "visibility", "seconds"),
    [(0, 120, 1), (8, 120, 1), (40, 120, 5), (160, 120, 20), (9999, 120, 20), (9999, 30, 10)],
)
def test_polls_get_longer_the_longer_a_worker_is_idle(idle, visibility, seconds):
    assert loop.poll_seconds(idle, visibility) == seconds


NO_DISK = Trouble("disk_full", "no disk")


@pytest.fixture
def work(until, monkeypatch):
    """Runs a worker's loop until something holds, then stops it."""

    monkeypatch.setattr(loop, "poll_seconds", lambda *_: 0)

    def run(worker, condition):
        def stop_then():
            try:
                until(condition)
            finally:
                worker.stop.set("the test is over")

        stopper = threading.Thread(target=stop_then)
        stopper.start()
        loop.work(worker)
        stopper.join()

    return run


def write_result(job):
    (job.output_dir / "result.txt").write_text(job.name)


def test_one_bad_message_does_not_stop_a_worker(cloud, make_worker, work):
    cloud.send_body("not json")
    cloud.send({"name": "A1"})
    cloud.send({"name": 1})
    cloud.send({"name": "B1"})

    work(make_worker(write_result), lambda: len(cloud.states("records")) == 4)

    assert cloud.states("records") == ["done.json"] * 3 + ["not_a_job.failed.json"]
    assert cloud.waiting() == (0, 0)


def test_a_bug_of_the_worker_itself_does_not_stop_it(cloud, make_worker, work, monkeypatch, capfd):
    cloud.send({"name": "A1"})
    cloud.send({"name": "B1"})
    worker = make_worker(write_result)
    original, broken = worker.settler.write, []

    def breaks_once(*arguments):
        if not broken:
            broken.append(1)
            raise ZeroDivisionError("a bug")
        original(*arguments)

    monkeypatch.setattr(worker.settler, "write", breaks_once)

    work(worker, lambda: cloud.states("records"))

    assert cloud.states("records") == ["done.json"]
    assert "please report it" in capfd.readouterr().out


def test_a_message_that_cannot_even_be_read_does_not_stop_it(
    cloud, make_worker, work, monkeypatch, capfd
):
    cloud.send({"name": "A1"})
    cloud.send({"name": "B1"})
    original, broken = loop.parse, []

    def breaks_once(*arguments):
        if not broken:
            broken.append(1)
            raise ZeroDivisionError("a bug")
        return original(*arguments)

    monkeypatch.setattr(loop, "parse", breaks_once)

    work(make_worker(write_result), lambda: cloud.states("records"))

    assert cloud.states("records") == ["done.json"]
    assert "please report it" in capfd.readouterr().out


def test_a_queue_that_is_gone_is_reported_once_and_polled_on(cloud, make_worker, work, capfd):
    worker = make_worker(write_result, SQS_QUEUE_URL=cloud.queue_url + "-none")
    said = []

    def has_said():
        said.append(capfd.readouterr().out)
        return any("accepts no jobs [queue_gone]: the queue does" in text for text in said)

    work(worker, has_said)

    assert "".join(said).count("has the run ended?") == 1


def test_a_machine_that_is_unfit_accepts_no_message(cloud, make_worker, work, monkeypatch, capfd):
    cloud.send({"name": "A1"})
    monkeypatch.setattr(
        machine, "unfit", lambda *arguments: Trouble("disk_full", "the disk is full")
    )
    said = []

    def has_said():
        said.append(capfd.readouterr().out)
        return any("accepts no jobs [disk_full]: the disk is full" in text for text in said)

    work(make_worker(write_result), has_said)

    assert cloud.waiting() == (1, 0)


def test_after_three_faults_of_its_own_a_machine_accepts_no_more_jobs(
    cloud, make_worker, work, capfd
):
    for number in range(5):
        cloud.send({"name": f"job {number}"})
    said = []

    def has_said():
        said.append(capfd.readouterr().out)
        return any("accepts no jobs [disk_full]: 3 jobs in a row" in text for text in said)

    def full(job):
        raise OSError(errno.ENOSPC, "No space left on device")

    worker = make_worker(full)
    work(worker, has_said)

    assert worker.state.faults == 3
    assert cloud.waiting()[0] == 2
    assert len(cloud.states("attempts")) == 3


def test_a_program_that_is_not_in_the_image_burns_three_jobs_and_no_more(
    cloud, make_worker, work, capfd
):
    for number in range(5):
        cloud.send({"name": f"job {number}"})
    said = []

    def has_said():
        said.append(capfd.readouterr().out)
        return any("accepts no jobs [missing_program]: 3 jobs in a row" in text for text in said)

    work(make_worker(lambda job: job.run(["no-such-program"])), has_said)

    assert "the last one: no-such-program: program not found in the image" in "".join(said)
    assert cloud.waiting()[0] == 2
    assert cloud.states("records") == ["missing_program.failed.json"] * 3


def test_why_no_job_is_accepted_is_repeated_every_minute(make_worker, monkeypatch, capfd):
    worker, now = make_worker(write_result), [0.0]

    def unfit(*_):
        now[0] += 10
        if now[0] > 1205:
            worker.stop.set("the test is over")
        return Trouble("disk_full", "the disk is full")

    monkeypatch.setattr(machine, "unfit", unfit)
    monkeypatch.setattr(loop, "SECONDS_UNFIT", 0.0)

    loop.work(worker, lambda: now[0])

    # At 10 s and at each sixth check after it.
    assert (
        capfd.readouterr().out.count("worker 0: accepts no jobs [disk_full]: the disk is full")
        == 21
    )


def test_after_ten_minutes_a_machine_tries_one_job_more(cloud, make_worker, monkeypatch, capfd):
    """The jobs may have been the cause, or somebody has fixed the machine."""
    for number in range(3):
        cloud.send({"name": f"job {number}"})
    worker, now = make_worker(write_result), [0.0]
    for number in range(3):
        worker.state.count_fault(f"{number}", NO_DISK)

    def wait(_):
        now[0] += 100
        # Until then nothing was taken.
        assert cloud.states("records") == []

    monkeypatch.setattr(worker.stop, "wait", wait)
    monkeypatch.setattr(loop, "poll_seconds", lambda *_: 0)
    receive = loop._receive

    def received(*arguments):
        found, asked = receive(*arguments)
        if found is None:
            worker.stop.set("the queue is empty")
        return found, asked

    monkeypatch.setattr(loop, "_receive", received)
    loop.work(worker, lambda: now[0])

    assert now[0] == 600
    assert cloud.states("records") == ["done.json"] * 3 and worker.state.faults == 0


def test_a_job_that_fails_for_its_own_reasons_ends_the_row_of_faults(cloud, make_worker, work):
    worker = make_worker(lambda job: None)
    worker.state.count_fault("00ff", NO_DISK)
    worker.state.count_fault("00fe", NO_DISK)
    cloud.send({"name": "A1"})

    work(worker, lambda: cloud.states("attempts"))

    assert worker.state.faults == 0


def test_a_message_whose_answer_was_late_may_be_anothers_and_is_left_alone(
    cloud, make_worker, capfd
):
    cloud.send({"name": "A1"})
    worker = make_worker(write_result, SQS_MESSAGE_VISIBILITY="60")
    asked_long_ago = boot_clock() - 55

    loop.attend(worker, cloud.receive(), asked_long_ago)

    assert cloud.names() == []
    assert "LOST A1" in capfd.readouterr().out
    assert cloud.waiting() == (0, 1)


def test_a_worker_is_busy_while_it_has_a_job_and_not_after(cloud, make_worker, work):
    cloud.send({"name": "A1"})
    seen = []
    worker = make_worker(write_result, protect=lambda: seen.append(worker.state.anybody_busy()))

    work(worker, lambda: cloud.states("records"))

    assert seen == [True]
    assert not worker.state.anybody_busy()


@pytest.mark.parametrize("what", ["interrupted", "no job", "done before", "refused"])
def test_a_message_whose_job_did_not_run_to_its_end_says_nothing_about_the_machine(
    cloud, make_worker, attend, what
):
    worker = make_worker(write_result)
    cloud.send({"name": "A1"})
    if what == "done before":
        attend(worker)
        cloud.send({"name": "A1"})
    if what == "no job":
        cloud.sqs.purge_queue(QueueUrl=cloud.queue_url)
        cloud.send_body("not json")
    if what == "refused":
        cloud.sqs.purge_queue(QueueUrl=cloud.queue_url)
        cloud.send_body('{"group": {"name": "A1"}}', app="Other")
    if what == "interrupted":
        worker.stop.set("spot interruption")

    assert attend(worker) is None


def test_a_machine_that_cannot_start_a_process_accepts_no_jobs(
    cloud, make_worker, work, monkeypatch, capfd
):
    cloud.send({"name": "A1"})
    real, refused = os.fork, []

    def refuse_twice():
        if len(refused) < 2:
            refused.append(1)
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return real()

    monkeypatch.setattr(os, "fork", refuse_twice)
    monkeypatch.setattr(loop, "SECONDS_UNFIT", 0.01)

    work(make_worker(write_result), lambda: cloud.states("records"))

    why = "worker 0: accepts no jobs [machine_error]: the machine cannot start a process: Resource"
    assert why in capfd.readouterr().out
    assert cloud.record("done")["receive"] == 1
