"""submitJob: every job gets into the queue, also when the command is killed at any moment."""

import contextlib
import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import aws_stub
from control.aws.s3 import list_keys
from control.aws.sqs import send_batch
from control.errors import ExplainedError, UserError
from control.records import failed_jobs, job_objects, sending, states, store, submissions
from control.records.delivery import Delivery, Outcome
from control.user_files import job_file
from control.user_files.job import make_job
from control.verbs import submit
from tests.worker_records import give_up

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def write(tmp_path):
    def write(groups, name="job.json", **shared):
        path = tmp_path / name
        path.write_text(json.dumps({**shared, "groups": groups}))
        return path

    return write


@pytest.fixture
def state(tmp_path):
    return tmp_path / ".runs"


def numbered(count):
    return [{"name": f"n{i:03d}"} for i in range(count)]


def listed(clients, run):
    """Return how often each job is listed in submitted/, by name and submission."""
    return Counter((e["name"], e["submission"]) for e in submissions.entries(clients.s3, run))


def sent_jobs(stub):
    """Return how often SQS accepted each job, by name and submission."""
    return Counter(
        (
            message["MessageAttributes"]["job_name"]["StringValue"],
            int(message["MessageAttributes"]["submission"]["StringValue"]),
        )
        for message in stub.messages
    )


def once(count, submission=1):
    return {(f"n{i:03d}", submission): 1 for i in range(count)}


def test_every_job_is_sent_and_listed_and_the_job_file_kept(stub_aws, write, state):
    stub, clients, run = stub_aws()
    path = write(numbered(25), a="ü")
    outcome = submit.submit(clients, run, submit.read_jobs(path), state)
    assert outcome == Outcome(in_file=25, sent=25)
    assert sent_jobs(stub) == listed(clients, run) == once(25)
    assert {m["MessageAttributes"]["run_id"]["StringValue"] for m in stub.messages} == {run.run_id}
    kept = clients.s3.get_object(Bucket=run.bucket, Key=f"{run.prefix}snapshot/0001-job.json")
    assert kept["Body"].read() == path.read_bytes()
    assert store.load(clients.s3, run.bucket, "Test", run.run_id).sending == {}


def test_jobs_of_a_table_are_sent_and_the_table_kept(stub_aws, write, state, tmp_path):
    stub, clients, run = stub_aws()
    (tmp_path / "t.csv").write_text("name,größe\n" + "".join(f"n{i:03d},ü\n" for i in range(12)))
    outcome = submit.submit(clients, run, submit.read_jobs(write("t.csv")), state)
    assert outcome.sent == 12
    assert sent_jobs(stub) == once(12)
    assert json.loads(stub.messages[0]["MessageBody"]) == {"group": {"name": "n000", "größe": "ü"}}
    keys = set(list_keys(clients.s3, run.bucket, f"{run.prefix}snapshot/"))
    assert {key.rsplit("/", 1)[-1] for key in keys} == {"0001-job.json", "0001-t.csv"}


def test_what_was_submitted_already_is_not_sent_again(stub_aws, write, state, capsys):
    stub, clients, run = stub_aws()
    submit.submit(clients, run, submit.read_jobs(write(numbered(12))), state)
    path = write(numbered(15), "longer.json")
    outcome = submit.submit(clients, run, submit.read_jobs(path), state)
    assert outcome == Outcome(in_file=15, sent=3, already=12)
    assert sent_jobs(stub) == listed(clients, run) == once(15)
    submit.report(outcome, run, submit.read_jobs(path))
    printed = capsys.readouterr().out
    assert "3 jobs sent" in printed
    assert "12 jobs skipped: already submitted in this run (use --again" in printed


def test_again_sends_all_as_their_next_submission(stub_aws, write, state):
    stub, clients, run = stub_aws()
    path = write(numbered(12))
    submit.submit(clients, run, submit.read_jobs(path), state)
    for _ in range(2):
        outcome = submit.submit(clients, run, submit.read_jobs(path), state, again=True)
        assert outcome == Outcome(in_file=12, sent=12)
    assert sent_jobs(stub) == listed(clients, run) == {**once(12), **once(12, 2), **once(12, 3)}
    assert states.count(clients.s3, run).submitted == 12


def test_missing_leaves_out_what_any_run_has_done(stub_aws, write, state):
    stub, clients, run = stub_aws()
    path = write(numbered(6))
    made = list(job_file.read(path).jobs())
    for name, kind, folder in (
        (0, "done", run.prefix),
        (1, "failed", run.prefix),
        (2, "done", "runs/Test/20250101T000000Z/"),
        (3, "skipped", "runs/Test/20250101T000000Z/"),
        (4, "done", "runs/Other/20250101T000000Z/"),
    ):
        key = f"{folder}records/{made[name].id}.{kind}.json"
        clients.s3.put_object(Bucket=run.bucket, Key=key, Body=b"{}")
    outcome = submit.submit(clients, run, submit.read_jobs(path), state, missing=True)
    assert outcome == Outcome(in_file=6, sent=3, done_before=3)
    assert sorted(stub.names()) == ["n001", "n004", "n005"]


def test_the_same_job_twice_in_a_file_is_sent_once_and_said(stub_aws, write, state, capsys):
    stub, clients, run = stub_aws()
    groups = [*numbered(3), {"name": "n001"}]
    outcome = submit.submit(clients, run, submit.read_jobs(write(groups)), state)
    assert (outcome.in_file, outcome.sent) == (4, 3)
    assert sent_jobs(stub) == listed(clients, run) == once(3)
    said = capsys.readouterr().out
    assert "1 job more than once in it (first: group 2 and group 4)" in said


def test_nothing_is_sent_of_a_file_with_a_mistake(stub_aws, write, state):
    stub, clients, run = stub_aws()
    for groups in ([*numbered(30), {}], [{"name": "x", "a": 1}, {"name": "x", "a": 2}]):
        with pytest.raises(UserError):
            submit.submit(clients, run, submit.read_jobs(write(groups)), state)
    assert not stub.messages and not state.exists()


def test_refused_jobs_are_named_and_sent_by_the_next_command(stub_aws, write, state):
    refusing = [True]

    def fault(call):
        for index, entry in enumerate(call.entries):
            name = entry["MessageAttributes"]["job_name"]["StringValue"]
            if refusing and name in ("n003", "n017"):
                call.refuse[index] = ("InvalidMessageContents", True)

    stub, clients, run = stub_aws(fault)
    path = write(numbered(20))
    outcome = submit.submit(clients, run, submit.read_jobs(path), state)
    assert outcome.sent == 18
    assert "n003" not in stub.names()
    with pytest.raises(ExplainedError, match="refused 2 jobs .n003: InvalidMessageContents"):
        submit.report(outcome, run, submit.read_jobs(path))
    refusing.clear()
    outcome = submit.submit(clients, run, submit.read_jobs(path), state)
    assert outcome == Outcome(in_file=20, sent=2, already=18)
    assert sent_jobs(stub) == listed(clients, run) == once(20)


def test_an_end_in_the_middle_says_what_was_sent_and_the_next_command_goes_on(
    stub_aws, write, state
):
    denied = [True]

    def fault(call):
        if call.operation == "SendMessageBatch" and call.number > 2 and denied:
            call.status, call.code = 403, "AccessDenied"

    stub, clients, run = stub_aws(fault)
    path = write(numbered(45))
    with pytest.raises(
        ExplainedError, match="20 of 45 jobs were sent, then: .*to continue.*submitJob"
    ):
        submit.submit(clients, run, submit.read_jobs(path), state)
    assert listed(clients, run) == once(20)
    denied.clear()
    outcome = submit.submit(clients, run, submit.read_jobs(path), state)
    assert outcome == Outcome(in_file=45, sent=25, already=20)
    assert sent_jobs(stub) == listed(clients, run) == once(45)


def test_ctrl_c_says_how_far_it_came_and_the_next_command_sends_the_rest(
    stub_aws, write, state, monkeypatch, capsys
):
    stub, clients, run = stub_aws()
    jobs = submit.read_jobs(write(numbered(45)))
    monkeypatch.setattr(submissions, "_PART_JOBS", 20)
    calls = itertools.count(1)

    def interrupted(*args):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return send_batch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(sending, "send_batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            submit.submit(clients, run, jobs, state)
    assert "30 of 45 jobs were sent so far" in capsys.readouterr().out
    assert sent_jobs(stub) == listed(clients, run) == once(30)
    run = store.load(clients.s3, run.bucket, "Test", run.run_id)
    outcome = submit.submit(clients, run, jobs, state)
    assert outcome == Outcome(in_file=45, sent=15, already=30)
    assert sent_jobs(stub) == listed(clients, run) == once(45)


def test_the_jobs_of_another_interrupted_file_are_sent_too(stub_aws, write, state, capsys):
    """Killed after the first part was written; the next command is about another file."""
    stub, clients, run = stub_aws()
    first = submit.read_jobs(write(numbered(20)))
    death = Death(number_of_calls=3)
    with pytest.raises(Killed):
        submit.submit(death.clients(clients), run, first, state)
    assert listed(clients, run) == once(20) and not stub.messages
    run = store.load(clients.s3, run.bucket, "Test", run.run_id)
    other = submit.read_jobs(write([{"name": "other"}], "other.json"))
    outcome = submit.submit(clients, run, other, state)
    assert outcome == Outcome(in_file=1, sent=1, resent=20)
    assert sent_jobs(stub) == {**once(20), ("other", 1): 1}
    submit.report(outcome, run, other)
    assert "20 jobs of an interrupted command sent" in capsys.readouterr().out


def test_a_job_that_sqs_refuses_when_it_is_sent_again_is_reported_and_not_listed(
    stub_aws, write, state
):
    """Killed after the first part was written. Listed but never sent, it would never end."""
    stub, clients, run = stub_aws()
    jobs = submit.read_jobs(write(numbered(20)))
    with pytest.raises(Killed):
        submit.submit(Death(number_of_calls=3).clients(clients), run, jobs, state)
    assert listed(clients, run) == once(20) and not stub.messages

    def fault(call):
        for index, entry in enumerate(call.entries):
            if entry["MessageAttributes"]["job_name"]["StringValue"] == "n003":
                call.refuse[index] = ("InvalidMessageContents", True)

    stub.fault = fault
    run = store.load(clients.s3, run.bucket, "Test", run.run_id)
    outcome = submit.submit(clients, run, jobs, state)
    assert outcome.resent == 19
    assert {job.name for job, _ in outcome.refused} == {"n003"}
    stub.fault = None
    assert sent_jobs(stub) == listed(clients, run)
    run = store.load(clients.s3, run.bucket, "Test", run.run_id)
    assert submit.submit(clients, run, jobs, state).sent == 1
    assert sent_jobs(stub) == listed(clients, run) == once(20)


def test_an_interrupted_again_is_continued_by_the_command_that_it_names(stub_aws, write, state):
    broken = []

    def fault(call):
        if call.operation == "SendMessageBatch" and broken and len(stub.messages) >= 60:
            call.status, call.code = 403, "AccessDenied"

    stub, clients, run = stub_aws(fault)
    jobs = submit.read_jobs(write(numbered(45)))
    submit.submit(clients, run, jobs, state)
    for job in list(jobs.file.jobs()):
        give_up(clients.s3, run, job, attempts=1)
    broken.append(1)
    with pytest.raises(ExplainedError) as error:
        submit.submit(clients, run, jobs, state, again=True)
    assert error.value.fix.endswith("job.json --again")
    broken.clear()
    failed_again = next(jobs.file.jobs())
    give_up(clients.s3, run, failed_again, submission=2, attempts=1)
    another = store.change(
        clients.s3, run, lambda r: dataclasses.replace(r, sending_again=[*r.sending_again, 99])
    )
    outcome = submit.submit(clients, another, jobs, state, again=True)
    assert (outcome.sent, outcome.sent_before) == (25, 20)
    assert sent_jobs(stub) == listed(clients, run) == {**once(45), **once(45, 2)}
    # All of them were sent again, so that none counts as failed but the one that failed since.
    failed = failed_jobs.find(clients.s3, run).for_good
    assert [job_objects.parse_record(key).job_id for key in failed] == [failed_again.id]
    # A command that began later is not finished by this one.
    assert store.load(clients.s3, run.bucket, "Test", run.run_id).sending_again == [99]


def test_jobs_that_sqs_refuses_of_an_again_are_sent_by_the_next_one_alone(stub_aws, write, state):
    def fault(call):
        for index, entry in enumerate(call.entries):
            values = {k: v["StringValue"] for k, v in entry["MessageAttributes"].items()}
            if (values["job_name"], values["submission"]) == ("n003", "2"):
                call.refuse[index] = ("InternalError", True)

    stub, clients, run = stub_aws(fault)
    jobs = submit.read_jobs(write(numbered(20)))
    submit.submit(clients, run, jobs, state)
    outcome = submit.submit(clients, run, jobs, state, again=True)
    with pytest.raises(ExplainedError) as error:
        submit.report(outcome, run, jobs, again=True)
    assert error.value.fix.endswith("job.json --again")
    stub.fault = None
    run = store.load(clients.s3, run.bucket, "Test", run.run_id)
    outcome = submit.submit(clients, run, jobs, state, again=True)
    assert (outcome.sent, outcome.sent_before) == (1, 19)


def test_what_another_computer_sends_at_the_moment_is_not_sent_twice(
    stub_aws, write, state, tmp_path, monkeypatch, capsys
):
    """Nobody knows here whether that command still runs, until its last part is old."""
    stub, clients, run = stub_aws()
    with pytest.raises(Killed):
        first = submit.read_jobs(write(numbered(20)))
        submit.submit(Death(number_of_calls=3).clients(clients), run, first, state)
    run = store.load(clients.s3, run.bucket, "Test", run.run_id)
    other = submit.read_jobs(write([{"name": "other"}], "other.json"))
    with monkeypatch.context() as patch:
        patch.setattr(aws_stub, "_WRITTEN", "2100-01-01T00:00:00.000Z")
        outcome = submit.submit(clients, run, other, tmp_path / "another computer")
    assert outcome == Outcome(in_file=1, sent=1, elsewhere=20)
    assert sent_jobs(stub) == {("other", 1): 1}
    submit.report(outcome, run, other)
    assert "20 jobs are being sent by a command on another computer" in capsys.readouterr().out
    run = store.load(clients.s3, run.bucket, "Test", run.run_id)
    outcome = submit.submit(clients, run, other, tmp_path / "another computer")
    assert outcome == Outcome(in_file=1, already=1, resent=20)
    assert sent_jobs(stub) == {**once(20), ("other", 1): 1}


def test_two_commands_at_once_on_one_computer_are_refused(stub_aws, write, state):
    _, clients, run = stub_aws()
    jobs = submit.read_jobs(write(numbered(2)))
    with (
        Delivery(clients, run, state, ""),
        pytest.raises(ExplainedError, match="under way on this computer"),
    ):
        submit.submit(clients, run, jobs, state)
    assert submit.submit(clients, run, jobs, state).sent == 2


class Killed(BaseException):
    """The process ends here: no later call reaches AWS."""


class Death:
    """Comes after a number of calls that change something, or with `before` instead of the next."""

    def __init__(self, number_of_calls, *, before=False):
        self._left, self._before, self.calls = number_of_calls, before, 0
        self._lock = threading.Lock()

    def around(self, method):
        def call(*args, **options):
            with self._lock:
                self.calls += 1
                self._left -= 1
                left = self._left
            if left < 0 or (self._before and left == 0):
                raise Killed
            answer = method(*args, **options)
            if left == 0:
                raise Killed
            return answer

        return call

    def clients(self, real):
        """Return the clients with deadly calls."""
        return SimpleNamespace(
            sqs=self._client(real.sqs, "send_message_batch"),
            s3=self._client(real.s3, "put_object", "delete_object"),
        )

    def _client(self, real, *deadly):
        return SimpleNamespace(
            **{name: self.around(getattr(real, name)) for name in deadly},
            **{
                name: getattr(real, name)
                for name in ("get_object", "list_objects_v2", "meta", "get_paginator", "exceptions")
                if hasattr(real, name)
            },
        )


@pytest.mark.parametrize("before", [False, True], ids=["after a call", "before a call"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("again", [False, True])
def test_killed_at_any_moment_and_run_again_every_job_is_in_the_queue(
    stub_aws, write, state, sample, monkeypatch, threads, again, before
):
    monkeypatch.setattr(sending, "_MEASURED", 2)
    monkeypatch.setattr(sending, "threads_worth", lambda seconds, cpu_seconds: threads)
    monkeypatch.setattr(submissions, "_PART_JOBS", 15)
    stub, clients, first_run = stub_aws()
    jobs = submit.read_jobs(write(numbered(35)))
    wanted = once(35, 2 if again else 1)

    def new_run(moment):
        run = store.create(clients.s3, dataclasses.replace(first_run, run_id=f"R{moment:04d}"))
        if again:
            submit.submit(clients, run, jobs, state)
        stub.messages.clear()
        return run

    never = Death(1_000_000)
    submit.submit(never.clients(clients), new_run(0), jobs, state, again=again)
    assert len(stub.messages) == 35 and never.calls > 8
    for moment in sample(range(1, never.calls + 1), 5):
        run = new_run(moment)
        death = Death(moment, before=before)
        with contextlib.suppress(Killed):
            submit.submit(death.clients(clients), run, jobs, state, again=again)
            # With threads there may be fewer calls than at first.
            assert moment > 0.8 * never.calls
            continue
        sent = len(stub.messages)
        run = store.load(clients.s3, run.bucket, "Test", run.run_id)
        if again and submissions.count(clients.s3, run) and not run.sending_again:
            # It had not begun, or had finished: then --again starts from the beginning.
            assert sent in (0, 35)
            continue
        outcome = submit.submit(clients, run, jobs, state, again=again)
        assert set(sent_jobs(stub)) == set(wanted)
        assert listed(clients, run) == {**once(35), **wanted}
        assert len(stub.messages) <= 35 + 15
        assert outcome.sent + outcome.resent == len(stub.messages) - sent
        assert outcome.sent + outcome.already + outcome.sent_before == 35
        run = store.load(clients.s3, run.bucket, "Test", run.run_id)
        assert submit.submit(clients, run, jobs, state) == Outcome(in_file=35, already=35)


SUBMIT = """
import sys
from pathlib import Path
import boto3
from control.aws.session import AWS
from control.records import store, submissions
from control.verbs import submit
from tests.worker_records import give_up
submissions._PART_JOBS = 40
aws = AWS(boto3.Session())
run = store.live(aws.s3, sys.argv[1], "Test")
submit.submit(aws, run, submit.read_jobs(Path(sys.argv[2])), Path(sys.argv[3]))
"""


@pytest.mark.parametrize(
    ("operation", "number", "drop"),
    [
        ("SendMessageBatch", 1, "after"),
        ("SendMessageBatch", 17, "before"),
        ("SendMessageBatch", 18, "after"),
        ("PUT", 5, "after"),
    ],
)
def test_a_process_killed_while_threads_send_leaves_nothing_lost(
    stub_aws, write, state, operation, number, drop
):
    process = []

    def fault(call):
        if call.operation == operation and call.number == number:
            call.drop = drop
            os.kill(process[0].pid, signal.SIGKILL)

    stub, clients, run = stub_aws(fault, latency=0.02)
    path = write(numbered(400))
    ours = set(stub.connections)
    command = [sys.executable, "-c", SUBMIT, run.bucket, str(path), str(state)]
    process.append(subprocess.Popen(command, cwd=REPOSITORY))
    assert process[0].wait() == -signal.SIGKILL
    # What it had sent already is still being read.
    until = time.monotonic() + 20
    while stub.connections - ours and time.monotonic() < until:
        time.sleep(0.01)
    stub.fault = None
    before = len(stub.messages)
    run = store.load(clients.s3, run.bucket, "Test", run.run_id)
    outcome = submit.submit(clients, run, submit.read_jobs(path), state)
    assert set(sent_jobs(stub)) == set(once(400))
    assert len(stub.messages) <= 400 + 40
    assert outcome.sent + outcome.resent == len(stub.messages) - before
    assert listed(clients, run) == once(400)
    assert submit.submit(clients, run, submit.read_jobs(path), state).already == 400


def test_a_dry_run_shows_the_first_message_and_sends_nothing(write, capsys):
    path = write([{"name": "n0"}, {"name": "n0"}, {"name": "n1"}], a=1)
    submit.show(submit.read_jobs(path))
    lines = capsys.readouterr().out.splitlines()[-3:]
    job = make_job({"a": 1}, {"name": "n0"}, "")
    assert "2 jobs; nothing was sent" in lines[0]
    assert "n0" in lines[1] and job.id in lines[1]
    assert lines[2] == job.body


def test_a_job_of_an_earlier_jobs_name_but_other_values_is_said(stub_aws, write, state, capsys):
    _, clients, run = stub_aws()
    submit.submit(clients, run, submit.read_jobs(write(numbered(3), flag=1)), state)
    path = write([*numbered(2), {"name": "new"}], flag=2)
    outcome = submit.submit(clients, run, submit.read_jobs(path), state)
    assert (outcome.sent, outcome.same_name) == (3, 2)
    submit.report(outcome, run, submit.read_jobs(path))
    assert "2 jobs with the name of an earlier job" in capsys.readouterr().out
    outcome = submit.submit(clients, run, submit.read_jobs(path), state, again=True)
    assert (outcome.sent, outcome.same_name) == (3, 0)
