"""Many messages into a queue: batches, threads, refusals, and connections that die."""

import json

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from control.aws.sqs import BATCH_BYTES
from control.records import sending
from control.user_files.job import make_job
from tests.conftest import new_run


class Log:
    """What was said of every job, in order."""

    def __init__(self):
        self.lines = []

    def sending(self, batch):
        self.lines += [("+", job.name) for job, _ in batch]

    def sent(self, batch):
        self.lines += [("=", job.name) for job, _ in batch]

    def refused(self, batch):
        self.lines += [("-", job.name) for job, _ in batch]

    def names(self, sign):
        return sorted(name for s, name in self.lines if s == sign)


def some(count, text=""):
    return [(make_job({}, {"name": f"n{i:04d}", "t": text}, f"group {i}"), 1) for i in range(count)]


def names(pairs):
    return [job.name for job, _ in pairs]


def send(clients, run, work, log, waiting=0.0):
    """All outcomes; the clocks say that a call waits so many times as long as it computes."""
    ticks, cpu = iter(range(10_000)), iter(i / (waiting + 1e-9) for i in range(10_000))
    return sending.send_all(
        clients.sqs,
        run,
        sending.batches(work),
        log,
        clock=lambda: next(ticks),
        cpu_clock=lambda: next(cpu),
    )


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
    log = Log()
    outcomes = list(send(clients, run, some(235), log, waiting))
    assert sorted(name for sent in outcomes for name in names(sent.taken)) == sorted(stub.names())
    assert len(stub.names()) == len(set(stub.names())) == 235
    assert log.names("+") == log.names("=") == sorted(stub.names())
    assert not any(sent.doubtful or sent.refused for sent in outcomes)
    first = stub.messages[0]
    job = some(1)[0][0]
    assert first["MessageBody"] == job.body
    assert first["MessageAttributes"] == {
        "job_id": {"DataType": "String", "StringValue": job.id},
        "job_name": {"DataType": "String", "StringValue": "n0000"},
        "app": {"DataType": "String", "StringValue": run.app_name},
        "run_id": {"DataType": "String", "StringValue": run.run_id},
        "submission": {"DataType": "Number", "StringValue": "1"},
    }


def test_a_job_is_logged_before_it_is_sent_and_after(stub_aws):
    log = Log()
    seen = []

    def fault(call):
        if call.operation == "SendMessageBatch":
            seen.append((len(call.entries), len(log.names("+")), len(log.names("="))))

    _, clients, run = stub_aws(fault)
    list(send(clients, run, some(25), log))
    assert seen == [(10, 10, 0), (10, 20, 10), (5, 25, 20)]


@pytest.mark.parametrize("waiting", [1, 50])
def test_refused_jobs_are_reported_exactly(stub_aws, waiting):
    bad = {"n0003", "n0067"}

    def fault(call):
        for index, entry in enumerate(call.entries):
            if entry["MessageAttributes"]["job_name"]["StringValue"] in bad:
                call.refuse[index] = ("InvalidMessageContents", True)

    stub, clients, run = stub_aws(fault)
    log = Log()
    outcomes = list(send(clients, run, some(100), log, waiting))
    refused = {job.name: why for sent in outcomes for job, why in sent.refused}
    assert set(refused) == bad and "InvalidMessageContents" in refused["n0003"]
    assert sum(len(sent.taken) for sent in outcomes) == len(stub.names()) == 98
    assert log.names("-") == sorted(bad)
    assert not bad & set(log.names("="))


def test_throttling_is_waited_out(stub_aws):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number == 2:
            call.status, call.code = 403, "RequestThrottled"

    stub, clients, run = stub_aws(fault)
    outcomes = list(send(clients, run, some(30), Log()))
    assert len(stub.names()) == 30
    assert not any(sent.doubtful for sent in outcomes)


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_lost_answer_is_sent_again_and_called_doubtful(stub_aws, drop):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number == 2:
            call.drop = drop

    stub, clients, run = stub_aws(fault)
    outcomes = list(send(clients, run, some(30), Log()))
    assert [sent.doubtful for sent in outcomes] == [False, True, False]
    assert set(stub.names()) == set(names(some(30)))
    assert len(stub.names()) == {"before": 30, "after": 40}[drop]


def test_an_answer_of_5xx_is_doubtful_too(stub_aws):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number == 1:
            call.status, call.code = 503, "ServiceUnavailable"

    _, clients, run = stub_aws(fault)
    assert [sent.doubtful for sent in send(clients, run, some(20), Log())] == [True, False]


@pytest.mark.parametrize("waiting", [1, 50])
def test_when_sending_ends_what_was_under_way_is_still_known(stub_aws, waiting):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number > 8:
            call.status, call.code = 403, "AccessDenied"

    stub, clients, run = stub_aws(fault)
    log = Log()
    taken = []
    with pytest.raises(ClientError, match="AccessDenied"):
        for sent in send(clients, run, some(300), log, waiting):
            taken += names(sent.taken)
    assert sorted(taken) == sorted(stub.names()) == log.names("=")
    assert len(taken) == 80
    assert log.names("+") == sorted(log.names("=") + log.names("-"))


def test_a_batch_of_which_a_part_was_taken_is_not_called_refused(stub_aws):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number == 1:
            call.refuse[0] = ("InternalError", False)
        elif call.operation == "SendMessageBatch":
            call.status, call.code = 403, "AccessDenied"

    stub, clients, run = stub_aws(fault)
    log = Log()
    with pytest.raises(ClientError):
        list(send(clients, run, some(2), log))
    assert stub.names() == ["n0001"]
    assert log.names("-") == [] and log.names("=") == []


def test_a_server_that_is_gone_leaves_the_batch_uncertain(stub_aws, monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)

    def fault(call):
        if call.operation == "SendMessageBatch":
            call.drop = "after"

    stub, clients, run = stub_aws(fault)
    log = Log()
    with pytest.raises(BotoCoreError):
        list(send(clients, run, some(10), log))
    assert len(stub.names()) > 10
    assert log.names("+") == names(some(10))
    assert log.names("=") == log.names("-") == []


@pytest.mark.parametrize(
    ("seconds", "cpu_seconds", "threads"),
    [(1, 1, 1), (1, 0.6, 1), (1, 0.5, 4), (1, 0.1, 20), (1, 0.01, 32), (0, 0, 1), (1, 0, 32)],
)
def test_threads_are_as_many_as_the_waiting_is_worth(seconds, cpu_seconds, threads):
    assert sending.threads_worth(seconds, cpu_seconds) == threads
