"""Many messages into a queue: batches, threads, refusals, and connections that die."""

import itertools
import json

import pytest
from botocore.exceptions import ClientError

from control.aws.sqs import BATCH_BYTES
from control.records import sending
from control.records.sending import Sent
from control.user_files.job import make_job
from tests.conftest import new_run


def some(count, text=""):
    return [(make_job({}, {"name": f"n{i:04d}", "t": text}, f"group {i}"), 1) for i in range(count)]


def names(pairs):
    return [job.name for job, _ in pairs]


def send(clients, run, work, waiting=1.0):
    """Send all and return what was sent; a call waits for `waiting` times its computing."""
    ticks, cpu = iter(range(10_000)), iter(i / (waiting + 1e-9) for i in range(10_000))
    sender = sending.Sender(clients.sqs, run, lambda: next(ticks), lambda: next(cpu))
    sent = Sent()
    sender.send(work, sent)
    return sent


def test_a_batch_holds_ten_messages_and_a_mebibyte():
    sizes = [len(batch) for batch in sending.batches(some(25))]
    assert sizes == [10, 10, 5]
    assert list(sending.batches([])) == []
    big = list(sending.batches(some(7, "ü" * 200_000)))
    assert [len(batch) for batch in big] == [2, 2, 2, 1]
    for batch in big:
        entries = sending.entries_of(batch, new_run())
        assert len(json.dumps(entries, ensure_ascii=False).encode()) < BATCH_BYTES


def test_the_longest_body_is_a_batch_of_its_own_and_fits():
    longest = 1024 * 1024 - 4096
    assert [len(b) for b in sending.batches(some(3, "x" * (longest - 60)))] == [1, 1, 1]


@pytest.mark.parametrize("waiting", [1, 50])
def test_every_job_is_sent_once_with_its_attributes(stub_aws, waiting):
    stub, clients, run = stub_aws()
    sent = send(clients, run, some(235), waiting)
    assert sorted(names(sent.accepted)) == sorted(stub.names()) == names(some(235))
    assert sent.refused == []
    first = stub.messages[0]
    job = some(1)[0][0]
    assert first["MessageBody"] == job.body
    assert first["MessageAttributes"] == {
        "app": {"DataType": "String", "StringValue": run.app_name},
        "run_id": {"DataType": "String", "StringValue": run.run_id},
        "job_id": {"DataType": "String", "StringValue": job.id},
        "job_name": {"DataType": "String", "StringValue": "n0000"},
        "submission": {"DataType": "Number", "StringValue": "1"},
    }


@pytest.mark.parametrize("waiting", [1, 50])
def test_refused_jobs_are_reported_exactly(stub_aws, waiting):
    bad = {"n0003", "n0067"}

    def fault(call):
        for index, entry in enumerate(call.entries):
            if entry["MessageAttributes"]["job_name"]["StringValue"] in bad:
                call.refuse[index] = ("InvalidMessageContents", True)

    stub, clients, run = stub_aws(fault)
    sent = send(clients, run, some(100), waiting)
    refused = {job.name: why for job, why in sent.refused}
    assert set(refused) == bad and "InvalidMessageContents" in refused["n0003"]
    assert sorted(names(sent.accepted)) == sorted(stub.names())
    assert len(stub.names()) == 98


def test_throttling_is_waited_out(stub_aws):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number == 2:
            call.status, call.code = 403, "RequestThrottled"

    stub, clients, run = stub_aws(fault)
    assert names(send(clients, run, some(30)).accepted) == stub.names() == names(some(30))


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_lost_answer_is_sent_again(stub_aws, drop):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number == 2:
            call.drop = drop

    stub, clients, run = stub_aws(fault)
    assert names(send(clients, run, some(30)).accepted) == names(some(30))
    assert len(stub.names()) == {"before": 30, "after": 40}[drop]


@pytest.mark.parametrize("waiting", [1, 50])
def test_after_an_error_exactly_what_was_sent_is_known(stub_aws, waiting):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number > 8:
            call.status, call.code = 403, "AccessDenied"

    stub, clients, run = stub_aws(fault)
    clock = itertools.count()
    cpu = (i / (waiting + 1e-9) for i in itertools.count())
    sender = sending.Sender(clients.sqs, run, lambda: next(clock), lambda: next(cpu))
    sent = Sent()
    with pytest.raises(ClientError, match="AccessDenied"):
        sender.send(some(300), sent)
    assert sorted(names(sent.accepted)) == sorted(stub.names())
    assert len(sent.accepted) == 80


def test_the_threads_are_chosen_once_for_many_small_parts(stub_aws, monkeypatch):
    stub, clients, run = stub_aws()
    asked = []
    monkeypatch.setattr(sending, "threads_worth", lambda *seconds: asked.append(seconds) or 1)
    ticks = itertools.count()
    sender = sending.Sender(clients.sqs, run, lambda: next(ticks), lambda: 0.0)
    sent = Sent()
    for start in range(0, 60, 10):
        sender.send(some(60)[start : start + 10], sent)
    assert names(sent.accepted) == stub.names() == names(some(60))
    # Of four batches all but the first are measured.
    assert asked == [(3, 0.0)]


@pytest.mark.parametrize(
    ("seconds", "cpu_seconds", "threads"),
    [(1, 1, 1), (1, 0.6, 1), (1, 0.5, 4), (1, 0.1, 20), (1, 0.01, 32), (0, 0, 1), (1, 0, 32)],
)
def test_threads_are_as_many_as_the_waiting_is_worth(seconds, cpu_seconds, threads):
    assert sending.threads_worth(seconds, cpu_seconds) == threads
