"""One receive from its message to its settling, against moto; run_job runs in a real process."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from plumbing import attempt, machine_health, outcome, process_tree, upload
from plumbing import worker as worker_module
from plumbing.errors import JobFailed
from plumbing.job_log import JobLog
from plumbing.message import parse


def write_result(job):
    print("working")
    (job.output_dir / "result.txt").write_text(job.name)


def fail(job):
    print("about to fail")
    job.run(["sh", "-c", "exit 3"])


def test_a_job_that_succeeds_leaves_outputs_log_and_record_and_no_message(
    cloud, make_worker, attend
):
    cloud.send({"name": "A1"})
    worker = make_worker(write_result)

    assert attend(worker).kind == "done"

    assert cloud.read("out/A1/result.txt") == b"A1"
    record = cloud.record("done")
    assert (record["state"], record["reason"], record["cause"]) == ("done", "", "")
    assert (record["job_name"], record["submission"], record["receive"]) == ("A1", 1, 1)
    assert (record["attempt"], record["attempts_allowed"]) == (1, 3)
    assert (record["machine"], record["machine_type"]) == ("i-0123456789", "m5.large")
    assert (record["output_prefix"], record["output_files"], record["output_bytes"]) == (
        "out/A1", 1, 2,
    )  # fmt: skip
    assert record["cpu_seconds"] >= 0 and record["peak_memory_mb"] > 1
    assert "working" in record["last_lines"]
    assert record["log_key"] == cloud.names(f"{cloud.run}records/")[0]
    assert "working" in cloud.log(record)
    assert cloud.waiting() == (0, 0)
    assert os.listdir(worker.folder) == []


def test_every_field_of_the_contract_is_in_a_record(cloud, make_worker, attend):
    cloud.send({"name": "A1"})

    attend(make_worker(write_result))

    assert set(cloud.record("done")) == {
        "job_id", "job_name", "run_id", "submission", "receive", "attempt", "attempts_allowed",
        "state", "reason", "exit_code", "signal", "started", "ended", "seconds",
        "download_seconds", "upload_seconds", "cpu_seconds", "peak_memory_mb", "peak_disk_mb",
        "machine", "machine_type", "output_prefix", "output_files", "output_bytes", "last_lines",
        "log_key", "log", "cause",
    }  # fmt: skip


def test_a_job_that_fails_says_why_and_comes_back_later(cloud, make_worker, attend):
    cloud.send({"name": "A1"})

    attend(make_worker(fail))

    failed = cloud.record("failed", "attempts")
    assert failed["state"] == "failed"
    assert failed["reason"] == "sh exited with code 3" and failed["exit_code"] == 3
    assert failed["cause"] == "exit_code"
    assert "about to fail" in failed["last_lines"]
    assert failed["log_key"] == cloud.names(f"{cloud.run}attempts/")[0]
    assert "about to fail" in cloud.log(failed) and "FAILED A1 after" in cloud.log(failed)
    assert cloud.states("records") == []
    assert cloud.waiting() == (0, 1)
    assert cloud.names("out/") == []


def test_a_job_that_fails_too_often_fails_for_good_with_a_record_and_a_dead_letter(
    cloud, make_worker, attend, monkeypatch
):
    monkeypatch.setattr(outcome, "FIRST_BACKOFF", 0.0)
    body = cloud.send({"name": "A1"}, shared=1)
    worker = make_worker(fail, JOB_RETRIES="2")

    attend(worker)
    attend(worker)

    assert cloud.states("attempts") == ["1.1.exit_code.failed.json", "1.2.exit_code.failed.json"]
    assert cloud.states("records") == ["exit_code.failed.json"]
    record = cloud.record("failed")
    assert "log" not in record and "about to fail" in cloud.log(record)
    assert (record["attempt"], record["attempts_allowed"]) == (2, 2)
    assert cloud.waiting() == (0, 0)
    (letter,) = cloud.dead_letters()
    assert letter["Body"] == body
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "sh exited with code 3"


def test_receives_that_left_nothing_count_as_failed_attempts(cloud, make_worker, attend):
    cloud.send({"name": "A1"})
    for _ in range(3):
        cloud.receive(visibility=0)

    attend(make_worker(write_result))

    record = cloud.record("failed")
    assert (record["receive"], record["attempt"], record["log_key"]) == (3, 3, "")
    assert record["reason"].startswith("ended silently 3 times (") and record["cause"] == "killed"
    assert len(cloud.dead_letters()) == 1
    assert cloud.names("out/") == []


def test_a_job_without_attempts_left_has_the_log_and_the_cause_of_its_last_failure(
    cloud, make_worker, attend, monkeypatch
):
    monkeypatch.setattr(outcome, "FIRST_BACKOFF", 0.0)
    cloud.send({"name": "A1"})
    attend(make_worker(fail))

    attend(make_worker(fail, JOB_RETRIES="1"))

    record = cloud.record("failed")
    assert cloud.states("records") == ["exit_code.failed.json"]
    assert "about to fail" in cloud.log(record)
    assert (record["receive"], record["attempt"], record["machine"]) == (1, 1, "")


def test_interruptions_do_not_count(cloud, make_worker, attend):
    cloud.send({"name": "A1"})
    first = cloud.receive(visibility=0)
    worker = make_worker(write_result, JOB_RETRIES="1")
    worker.stop.set("spot interruption")
    attend(worker)
    assert cloud.states("attempts") == ["1.2.interrupted.json"]
    assert cloud.waiting() == (1, 0)
    job_id = parse(first, "App", "").job_id
    cloud.s3.put_object(
        Bucket=cloud.bucket, Key=f"{cloud.run}attempts/{job_id}.1.1.interrupted.json", Body=b"{}"
    )

    attend(make_worker(write_result, JOB_RETRIES="1"))

    assert cloud.record("done")["receive"] == 3
    assert cloud.record("done")["attempt"] == 1


def test_a_job_that_is_done_already_is_not_run_again(cloud, make_worker, attend):
    cloud.send({"name": "A1"})
    cloud.send({"name": "A1"})
    worker = make_worker(write_result)
    attend(worker)
    cloud.s3.delete_object(Bucket=cloud.bucket, Key="out/A1/result.txt")

    attend(worker)

    assert cloud.names("out/") == []
    assert cloud.waiting() == (0, 0)


def test_a_later_submission_of_a_done_job_is_run_again(cloud, make_worker, attend):
    worker = make_worker(write_result)
    for submission in ("1", "2"):
        cloud.send({"name": "A1"}, {"submission": submission})
        attend(worker)

    assert cloud.record("done")["submission"] == 2


def test_a_job_whose_outputs_are_there_is_skipped_and_said_to_be(cloud, make_worker, attend):
    cloud.s3.put_object(Bucket=cloud.bucket, Key="out/A1/result.txt", Body=b"old")
    cloud.send({"name": "A1"})

    attend(make_worker(write_result, CHECK_IF_DONE_BOOL="True"))

    assert cloud.record("skipped")["output_prefix"] == "out/A1"
    assert cloud.record("skipped")["cause"] == "already_done"
    assert cloud.read("out/A1/result.txt") == b"old"
    assert cloud.waiting() == (0, 0)


def test_a_job_that_wrote_nothing_has_failed(cloud, make_worker, attend):
    cloud.send({"name": "A1"})

    attend(make_worker(lambda job: None))

    assert "wrote nothing" in cloud.record("failed", "attempts")["reason"]
    assert cloud.states("attempts") == ["1.1.no_output.failed.json"]


def test_unless_nothing_is_expected_of_it(cloud, make_worker, attend):
    cloud.send({"name": "A1"})

    attend(make_worker(lambda job: None, EXPECTED_NUMBER_FILES="0"))

    assert cloud.states("records") == ["done.json"]


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"app": "Other"}, "the message is from another app: Other"),
        ({"job_id": "0123456789abcdef"}, "its job_id '0123456789abcdef' does not fit its body"),
        ({"run_id": "20260101T000001Z"}, "the message is from a later run"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_message_that_is_refused_becomes_a_dead_letter_and_leaves_nothing_else(
    cloud, make_worker, attend, capfd, attributes, why
):
    body = cloud.send({"name": "A1"}, attributes)

    assert attend(make_worker(write_result)) is None

    (letter,) = cloud.dead_letters()
    assert letter["Body"] == body
    assert letter["MessageAttributes"]["reason"]["StringValue"].startswith(why)
    assert cloud.names() == []
    assert cloud.waiting() == (0, 0)
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith(f"REFUSED A1: {why}")


def test_a_refused_message_stays_in_the_queue_if_there_is_no_place_for_its_dead_letter(
    cloud, make_worker, attend
):
    cloud.send({"name": "A1"}, {"app": "Other"})

    attend(make_worker(write_result, SQS_DEAD_LETTER_QUEUE="none"))

    assert sum(cloud.waiting()) == 1


def test_a_job_of_an_earlier_run_is_run_and_recorded_there(cloud, make_worker, attend):
    cloud.send({"name": "A1"}, {"app": "App", "run_id": "20251231T235959Z"})

    attend(make_worker(write_result))

    (key,) = cloud.names("runs/App/20251231T235959Z/")
    assert key.endswith(".done.json") and json.loads(cloud.read(key))["log_key"] == key
    assert cloud.states("records") == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_log_that_is_too_large_for_a_record_is_an_object_of_its_own(
    cloud, make_worker, attend, fails
):
    def run_job(job):
        print("x" * (64 << 10))
        write_result(job)
        if fails:
            raise JobFailed("as wished")

    cloud.send({"name": "A1"})

    attend(make_worker(run_job, JOB_RETRIES="1"))

    record = cloud.record("failed" if fails else "done")
    assert record["log_key"].startswith(f"{cloud.run}logs/")
    assert record["log_key"].endswith(".1.1.txt") and not record.get("log")
    log = cloud.log(record)
    assert len(log) > 64 << 10
    assert log.endswith("failed for good after 1 attempt\n" if fails else "out/A1/\n")


def test_a_job_with_one_output_and_a_small_log_costs_two_puts(cloud, make_worker, attend):
    cloud.send({"name": "A1"})
    worker, requests = make_worker(write_result), []
    for client in vars(worker.clients).values():
        client.meta.events.register("before-call", lambda model, **_: requests.append(model.name))

    attend(worker)

    assert requests == ["HeadObject", "PutObject", "PutObject", "DeleteMessage"]


@pytest.mark.parametrize("body", ["not json", "[1]", '{"group": 7}'])
def test_a_message_that_is_no_job_becomes_a_dead_letter_at_once(cloud, make_worker, attend, body):
    cloud.send_body(body)

    attend(make_worker(write_result))

    assert "not a job" in cloud.record("failed")["reason"]
    assert cloud.states("records") == ["not_a_job.failed.json"]
    (letter,) = cloud.dead_letters()
    assert letter["Body"] == body
    assert cloud.waiting() == (0, 0)


def raises(job):
    raise ValueError("no such plate")


def fails_without_words(job):
    raise JobFailed("")


def leaves(job):
    os._exit(7)


def exits(job):
    raise SystemExit(0)


def is_killed(job):
    os.kill(os.getpid(), signal.SIGKILL)


def names_nothing(job):
    return job["missing"]


def imports(job):
    import no_such_module  # noqa: F401


def takes_all(job):
    raise MemoryError


def babbles(job):
    raise JobFailed("x" * 3000)


@pytest.mark.parametrize(
    ("run_job", "cause", "reason", "last"),
    [
        (raises, "exception", "run_job raised ValueError: no such plate", "ValueError: no such"),
        (fails_without_words, "job_failed", "failed without a reason", ""),
        (leaves, "exit_code", "run_job's own process was ended by an exit", ""),
        (exits, "exception", "run_job raised SystemExit: 0", ""),
        (is_killed, "signal", "run_job's own process was ended by SIGKILL", ""),
        (names_nothing, "missing_value", "the job file has no 'missing'", ""),
        (imports, "missing_module", "run_job raised ModuleNotFoundError: No module named", ""),
        (takes_all, "out_of_memory", "run_job raised MemoryError", ""),
        (babbles, "job_failed", "x" * 2000, ""),
    ],
)
def test_every_way_in_which_run_job_can_fail_has_a_cause_and_a_reason(
    cloud, make_worker, attend, run_job, cause, reason, last
):
    cloud.send({"name": "A1"})

    attend(make_worker(run_job))

    failed = cloud.record("failed", "attempts")
    assert failed["cause"] == cause
    assert failed["reason"].startswith(reason) and len(failed["reason"]) <= 2000
    assert last in "\n".join(failed["last_lines"])


def names_no_setting(job):
    return job.config["NO_SUCH_SETTING"]


def names_no_input(job):
    job.download("no/such/key.txt")


def knows_better(job):
    raise JobFailed("the plate is empty", retry=False)


@pytest.mark.parametrize(
    "run_job", [names_nothing, names_no_setting, names_no_input, knows_better, imports]
)
def test_a_job_that_no_retry_can_save_fails_for_good_at_once(cloud, make_worker, attend, run_job):
    cloud.send({"name": "A1"})

    attend(make_worker(run_job))

    failed = cloud.record("failed", "records")
    assert (failed["attempt"], failed["attempts_allowed"]) == (1, 3)
    assert cloud.waiting() == (0, 0)


def test_an_output_prefix_that_raises_or_leads_elsewhere_fails_the_job(cloud, make_worker, attend):
    cloud.send({"name": "A1"})
    attend(make_worker(write_result, prefix=lambda job: job["none"]))
    cloud.send({"name": "B1"})
    attend(make_worker(write_result, prefix=lambda job: f"../{job.name}"))
    cloud.send({"name": "C1"})
    attend(make_worker(write_result, prefix=lambda job: 1 / 0))

    reasons = [
        json.loads(cloud.read(key))["reason"] for key in cloud.names(f"{cloud.run}attempts/")
    ]
    assert len(reasons) == 3
    assert any("'none'" in reason for reason in reasons)
    assert any("'..'" in reason for reason in reasons)
    assert any("ZeroDivisionError" in reason for reason in reasons)
    assert sorted(name.split(".")[2] for name in cloud.states("attempts")) == [
        "bad_output", "exception", "missing_value",
    ]  # fmt: skip


def test_a_job_whose_program_is_not_in_the_image_fails_for_good_at_once(cloud, make_worker, attend):
    cloud.send({"name": "A1"})

    outcome = attend(make_worker(lambda job: job.run(["no-such-program"])))

    assert outcome.machine and outcome.cause == "missing_program"
    assert cloud.record("failed")["reason"] == "no-such-program: program not found in the image"
    assert cloud.waiting() == (0, 0)


def test_a_full_disk_is_the_machines_fault_and_named(cloud, make_worker, attend):
    def fill(job):
        raise OSError(errno.ENOSPC, "No space left on device", str(job.output_dir / "x"))

    cloud.send({"name": "A1"})

    outcome = attend(make_worker(fill))

    assert outcome.machine and outcome.cause == "disk_full"
    assert cloud.record("failed", "attempts")["reason"].startswith("the disk is full: ")


class FullLog(JobLog):
    """On a disk that was full for a moment."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        os.close(self._file)
        self._file = os.open("/dev/full", os.O_RDWR)


@pytest.mark.parametrize("sign", ["the disk is full", FullLog])
def test_outputs_that_may_be_cut_short_are_not_called_done(
    cloud, make_worker, attend, monkeypatch, sign
):
    """Many programs do not notice, and exit with 0."""
    if sign is FullLog:
        monkeypatch.setattr(attempt, "JobLog", FullLog)
    else:
        monkeypatch.setattr(machine_health, "is_full", lambda folder: True)
    cloud.send({"name": "A1"})

    outcome = attend(make_worker(write_result))

    why = outcome.reason
    assert outcome.machine and why == cloud.record("failed", "attempts")["reason"]
    assert cloud.states("attempts") == ["1.1.disk_full.failed.json"]
    assert why.startswith("the disk is full: ") and why.endswith(": outputs may be cut short")
    assert ("the log could not be written" in why) == (sign is FullLog)
    assert cloud.names("out/") == []


@pytest.mark.parametrize(
    ("own", "trouble", "cause"),
    [
        ("job_failed", "disk_full", "disk_full"),
        ("job_failed", "not_mounted", "machine_error"),
        ("out_of_memory", "disk_full", "out_of_memory"),
    ],
)
def test_a_failure_on_an_unfit_machine_has_the_cause_of_the_machine(
    cloud, make_worker, attend, monkeypatch, own, trouble, cause
):
    def run_job(job):
        raise JobFailed("as wished", cause=own)

    monkeypatch.setattr(
        machine_health, "unfit", lambda *_: machine_health.Trouble(trouble, "it is unfit")
    )
    cloud.send({"name": "A1"})

    outcome = attend(make_worker(run_job))

    assert outcome.machine and outcome.cause == cause
    assert outcome.reason == "as wished; it is unfit"


@pytest.mark.parametrize(
    ("number", "cause"), [(errno.EIO, "machine_error"), (errno.EACCES, "bad_output")]
)
def test_an_output_that_cannot_be_read_is_a_fault_of_the_disk_or_of_the_output(
    cloud, make_worker, attend, monkeypatch, number, cause
):
    def send_all(s3, items, check):
        if items:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(upload, "send_all", send_all)
    cloud.send({"name": "A1"})

    outcome = attend(make_worker(write_result))

    assert (outcome.cause, outcome.machine) == (cause, cause == "machine_error")


def test_what_programs_leave_in_their_temporary_folder_goes_with_the_job(
    cloud, make_worker, attend
):
    def run_job(job):
        job.run(["sh", "-c", 'touch here; echo "$TMPDIR"; mktemp'])
        write_result(job)

    cloud.send({"name": "A1"})
    worker = make_worker(run_job)
    attend(worker)

    folder, made = cloud.record("done")["last_lines"][:2]
    assert folder.startswith(str(worker.folder)) and made.startswith(folder)
    assert os.listdir(worker.folder) == []


def test_a_job_longer_than_its_visibility_is_run_once(cloud, make_worker, attend):
    cloud.send({"name": "A1"})
    worker = make_worker(
        lambda job: (time.sleep(3.5), write_result(job)), SQS_MESSAGE_VISIBILITY="3"
    )
    taken = []

    def other_worker():
        while not cloud.states("records"):
            answer = cloud.sqs.receive_message(QueueUrl=cloud.queue_url, WaitTimeSeconds=1)
            taken.extend(answer.get("Messages", []))

    later = threading.Timer(1, other_worker)
    later.start()
    attend(worker)
    later.join()

    assert taken == []
    assert cloud.record("done")["receive"] == 1


def test_after_a_lost_lease_nothing_is_uploaded_written_or_deleted(
    cloud, make_worker, attend, monkeypatch
):
    cloud.send({"name": "A1"})
    worker = make_worker(
        lambda job: (time.sleep(20), write_result(job)), SQS_MESSAGE_VISIBILITY="3"
    )
    # SQS is out of reach for as long as the job runs.
    worker.clients.sqs.meta.events.register("before-send.sqs", _refuse)

    started = time.monotonic()
    attend(worker)

    assert time.monotonic() - started < 10
    assert cloud.names() == []
    assert sum(cloud.waiting()) == 1


def _refuse(**more):
    raise EndpointConnectionError(endpoint_url="http://aws")


def test_s3_that_fails_for_a_while_does_not_cost_the_work(
    cloud, make_worker, attend, tmp_path, quick_retries
):
    runs = tmp_path / "runs"
    pauses = []
    cloud.send({"name": "A1"})

    def run_job(job):
        with open(runs, "a") as file:
            file.write("run\n")
        write_result(job)

    worker = make_worker(run_job)
    refusals = iter(range(12))

    def sometimes(**more):
        if next(refusals, None) is not None:
            pauses.append(1)
            _refuse()

    worker.clients.s3.meta.events.register("before-send.s3", sometimes)
    attend(worker)

    assert pauses
    assert runs.read_text() == "run\n"
    assert cloud.states("records") == ["done.json"]


def test_no_extension_is_under_way_when_a_message_is_given_back(
    cloud, make_worker, attend, monkeypatch
):
    cloud.send({"name": "A1"})
    worker = make_worker(fail)
    give_back, alive = worker.settler.give_back, []

    def watched(*arguments):
        alive.extend(t.name for t in threading.enumerate() if t.name == "lease")
        give_back(*arguments)

    monkeypatch.setattr(worker.settler, "give_back", watched)

    attend(worker)

    assert cloud.waiting() == (0, 1)
    assert alive == []


def test_a_stop_in_mid_upload_that_goes_on_too_long_is_an_interruption(
    cloud, make_worker, attend, monkeypatch, quick_retries
):
    monkeypatch.setattr(attempt, "UPLOAD_AFTER_STOP", 0.0)
    cloud.send({"name": "A1"})
    worker = make_worker(write_result)

    def stop_and_refuse(params, **more):
        if "/out/" in params["url"]:
            worker.stop.set("spot interruption")
            _refuse()

    worker.clients.s3.meta.events.register("before-call.s3.PutObject", stop_and_refuse)
    attend(worker)

    assert cloud.states("records") == []
    assert cloud.record("interrupted", "attempts")["reason"] == "spot interruption"
    assert cloud.waiting() == (1, 0)


def test_a_stop_before_the_program_starts_does_not_start_it(
    cloud, make_worker, attend, tmp_path, quick_retries
):
    started = tmp_path / "started"
    cloud.send({"name": "A1"})
    worker = make_worker(lambda job: started.touch())

    def stop_and_refuse(**more):
        if not worker.stop.is_set:
            worker.stop.set("spot interruption")
            _refuse()

    worker.clients.s3.meta.events.register("before-call.s3", stop_and_refuse)
    attend(worker)

    assert not started.exists()
    assert cloud.states("attempts") == ["1.1.interrupted.json"]
    assert cloud.waiting() == (1, 0)


def test_a_stop_in_mid_upload_lets_it_finish(cloud, make_worker, attend):
    cloud.send({"name": "A1"})
    worker = make_worker(write_result)

    def stop(params, **more):
        worker.stop.set("spot interruption")

    worker.clients.s3.meta.events.register("before-call.s3.PutObject", stop)
    attend(worker)

    assert cloud.states("records") == ["done.json"]
    assert cloud.waiting() == (0, 0)


def test_a_bucket_that_may_not_be_written_to_is_the_machines_fault(cloud, make_worker, attend):
    cloud.send({"name": "A1"})
    worker = make_worker(write_result)

    def deny(**more):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")

    worker.clients.s3.meta.events.register("before-call.s3.PutObject", deny)

    outcome = attend(worker)

    assert outcome.machine and outcome.cause == "refused_by_aws"
    assert sum(cloud.waiting()) == 1


def test_a_job_waits_for_task_protection_before_its_program_starts(
    cloud, make_worker, attend, tmp_path
):
    order = tmp_path / "order"
    cloud.send({"name": "A1"})

    def protect():
        order.write_text("protected ")

    def run_job(job):
        order.write_text(order.read_text() + "started")
        write_result(job)

    attend(make_worker(run_job, protect=protect))

    assert order.read_text() == "protected started"


def test_upload_flags_hold_for_outputs(cloud, make_worker, attend):
    cloud.send({"name": "A1"})

    attend(make_worker(write_result, UPLOAD_FLAGS="--storage-class STANDARD_IA"))

    head = cloud.s3.head_object(Bucket=cloud.bucket, Key="out/A1/result.txt")
    assert head["StorageClass"] == "STANDARD_IA"


def test_a_job_reads_its_settings_and_downloads_its_inputs(cloud, make_worker, attend):
    cloud.s3.put_object(Bucket=cloud.bucket, Key="in/x", Body=b"input")
    cloud.send({"name": "A1"})

    def run_job(job):
        text = job.download("in/x").read_text()
        job.log(f"{text} {job.config['FACTOR'] + 1}")
        write_result(job)

    attend(make_worker(run_job, FACTOR="7", CONFIG_TYPES='{"FACTOR": "int"}'))

    record = cloud.record("done")
    assert "input 8" in record["last_lines"]
    assert record["download_seconds"] > 0


def test_an_answer_that_is_no_xml_does_not_cost_the_work(cloud, make_worker, attend, quick_retries):
    cloud.send({"name": "A1"})
    worker = make_worker(write_result)
    asked = []

    def half_an_answer(**more):
        asked.append(1)
        if len(asked) % 2:
            raise ResponseParserError("Unable to parse response (no element found)")

    worker.clients.s3.meta.events.register("before-call.s3", half_an_answer)
    worker.clients.sqs.meta.events.register("before-call.sqs", half_an_answer)

    attend(worker)

    assert cloud.states("attempts") == []
    assert cloud.states("records") == ["done.json"]
    assert cloud.waiting() == (0, 0)


@pytest.mark.parametrize("name", ["stdout", "stderr", "descriptor 1", "descriptor 2"])
def test_a_job_that_closes_its_output_has_succeeded_all_the_same(cloud, make_worker, attend, name):
    def run_job(job):
        write_result(job)
        if name.startswith("descriptor"):
            print("not flushed yet", end="")
            os.close(int(name[-1]))
        else:
            getattr(sys, name).close()

    cloud.send({"name": "A1"})

    attend(make_worker(run_job))

    assert cloud.states("records") == ["done.json"]


@pytest.mark.parametrize(
    ("cut", "left"), [("stop", ["1.1.interrupted.json"]), ("lease", []), ("timeout", None)]
)
def test_a_process_that_hangs_in_the_kernel_is_the_machines_fault_and_changes_nothing_else(
    cloud, make_worker, attend, monkeypatch, capfd, cut, left
):
    pids = []
    monkeypatch.setattr(process_tree, "end", lambda pid, grace: pids.append(pid))
    cloud.send({"name": "A1"})
    settings = {"JOB_TIMEOUT": "1"} if cut == "timeout" else {}
    worker = make_worker(lambda job: time.sleep(60), SQS_MESSAGE_VISIBILITY="3", **settings)
    if cut == "lease":
        worker.clients.sqs.meta.events.register("before-send.sqs", _refuse)
    stopper = threading.Timer(0.5, worker.stop.set, ["spot interruption"])
    if cut == "stop":
        stopper.start()

    assert worker_module.fault_of(attend(worker)).cause == "machine_error"

    os.kill(pids[0], signal.SIGKILL)
    if cut == "timeout":
        assert "JOB_TIMEOUT" in cloud.record("failed", "attempts")["reason"]
        assert "hangs in the kernel" in cloud.record("failed", "attempts")["reason"]
    else:
        assert cloud.states("attempts") == left
    assert cloud.states("records") == []
    assert "hangs in the kernel" in capfd.readouterr().out
