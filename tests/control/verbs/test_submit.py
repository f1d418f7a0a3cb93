"""submitJob: every job into the queue once, also when it is broken off at any moment."""

import dataclasses
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from control.aws.s3 import list_keys
from control.errors import ExplainedError, UserError
from control.records import sending, states, store, submissions
from control.records.journal import Journal
from control.user_files import job_file
from control.user_files.job import make_job
from control.verbs import submit

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
    """How often each job stands in submitted/, by its name and the number of its submission."""
    return Counter((e["name"], e["submission"]) for e in submissions.entries(clients.s3, run))


def sent_jobs(stub):
    """How often SQS took each job, by its name and the number of its submission."""
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
    outcome = submit.submit(clients, run, path, state)
    assert outcome == submit.Outcome(in_file=25, sent=25)
    assert sent_jobs(stub) == listed(clients, run) == once(25)
    assert {m["MessageAttributes"]["run_id"]["StringValue"] for m in stub.messages} == {run.run_id}
    kept = clients.s3.get_object(Bucket=run.bucket, Key=f"{run.prefix}snapshot/0001-job.json")
    assert kept["Body"].read() == path.read_bytes()
    assert [journal.stat().st_size for journal in state.rglob("*.journal")] == [0]


def test_jobs_of_a_table_are_sent_and_the_table_kept(stub_aws, write, state, tmp_path):
    stub, clients, run = stub_aws()
    (tmp_path / "t.csv").write_text("name,größe\n" + "".join(f"n{i:03d},ü\n" for i in range(12)))
    outcome = submit.submit(clients, run, write("t.csv"), state)
    assert outcome.sent == 12
    assert sent_jobs(stub) == once(12)
    assert json.loads(stub.messages[0]["MessageBody"]) == {"group": {"name": "n000", "größe": "ü"}}
    keys = set(list_keys(clients.s3, run.bucket, f"{run.prefix}snapshot/"))
    assert {key.rsplit("/", 1)[-1] for key in keys} == {"0001-job.json", "0001-t.csv"}


def test_what_was_submitted_already_is_not_sent_again(stub_aws, write, state, capsys):
    stub, clients, run = stub_aws()
    submit.submit(clients, run, write(numbered(12)), state)
    path = write(numbered(15), "longer.json")
    outcome = submit.submit(clients, run, path, state)
    assert outcome == submit.Outcome(in_file=15, sent=3, already=12)
    assert sent_jobs(stub) == listed(clients, run) == once(15)
    submit.report(outcome, run, path)
    printed = capsys.readouterr().out
    assert "3 jobs sent" in printed
    assert "12 jobs submitted in this run before, not sent again (--again" in printed


def test_again_sends_all_as_their_next_submission(stub_aws, write, state):
    stub, clients, run = stub_aws()
    path = write(numbered(12))
    submit.submit(clients, run, path, state)
    for _ in range(2):
        outcome = submit.submit(clients, run, path, state, again=True)
        assert outcome == submit.Outcome(in_file=12, sent=12)
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
    outcome = submit.submit(clients, run, path, state, missing=True)
    assert outcome == submit.Outcome(in_file=6, sent=3, done_before=3)
    assert sorted(stub.names()) == ["n001", "n004", "n005"]


def test_the_same_job_twice_in_a_file_is_sent_once_and_said(stub_aws, write, state, capsys):
    stub, clients, run = stub_aws()
    groups = [*numbered(3), {"name": "n001"}]
    outcome = submit.submit(clients, run, write(groups), state)
    assert (outcome.in_file, outcome.sent) == (4, 3)
    assert sent_jobs(stub) == listed(clients, run) == once(3)
    said = capsys.readouterr().out
    assert "1 job more than once in it (first: group 2 and group 4)" in said


def test_nothing_is_sent_of_a_file_with_a_mistake(stub_aws, write, state):
    stub, clients, run = stub_aws()
    for groups in ([*numbered(30), {}], [{"name": "x", "a": 1}, {"name": "x", "a": 2}]):
        with pytest.raises(UserError):
            submit.submit(clients, run, write(groups), state)
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
    outcome = submit.submit(clients, run, path, state)
    assert outcome.sent == 18
    assert "n003" not in stub.names()
    with pytest.raises(ExplainedError, match="refused 2 jobs .n003: InvalidMessageContents"):
        submit.report(outcome, run, path)
    refusing.clear()
    outcome = submit.submit(clients, run, path, state)
    assert outcome == submit.Outcome(in_file=20, sent=2, already=18)
    assert sent_jobs(stub) == listed(clients, run) == once(20)


def test_a_lost_answer_is_said(stub_aws, write, state, capsys):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number == 1:
            call.drop = "after"

    stub, clients, run = stub_aws(fault)
    path = write(numbered(20))
    outcome = submit.submit(clients, run, path, state)
    assert outcome == submit.Outcome(in_file=20, sent=20, maybe_twice=10)
    assert len(stub.messages) == 30
    assert listed(clients, run) == once(20)
    submit.report(outcome, run, path)
    assert "10 jobs possibly in the queue twice" in capsys.readouterr().out


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
        submit.submit(clients, run, path, state)
    assert listed(clients, run) == once(20)
    denied.clear()
    outcome = submit.submit(clients, run, path, state)
    assert outcome == submit.Outcome(in_file=45, sent=25, already=20)
    assert sent_jobs(stub) == listed(clients, run) == once(45)


def test_ctrl_c_says_how_far_it_came_and_the_next_command_goes_on(
    stub_aws, write, state, monkeypatch, capsys
):
    stub, clients, run = stub_aws()
    path = write(numbered(45))
    with monkeypatch.context() as patch:
        patch.setattr(submissions.Parts, "add", interrupted_at_the_third(submissions.Parts.add))
        with pytest.raises(KeyboardInterrupt):
            submit.submit(clients, run, path, state)
    assert "20 of 45 jobs were sent so far" in capsys.readouterr().out
    outcome = submit.submit(clients, run, path, state)
    assert outcome == submit.Outcome(in_file=45, sent=15, sent_before_break=30)
    assert sent_jobs(stub) == listed(clients, run) == once(45)


def interrupted_at_the_third(add):
    calls = itertools.count(1)

    def interrupted(*args):
        if next(calls) == 3:
            raise KeyboardInterrupt
        add(*args)

    return interrupted


def test_jobs_that_were_sent_and_are_no_longer_in_the_file_are_said(stub_aws, write, state, capsys):
    stub, clients, run = stub_aws(dying_put)
    path = write(numbered(20))
    with pytest.raises(ExplainedError):
        submit.submit(clients, run, path, state)
    stub.fault = None
    write(numbered(15))
    outcome = submit.submit(clients, run, path, state)
    assert outcome == submit.Outcome(in_file=15, sent_before_break=15, not_in_file=5)
    submit.report(outcome, run, path)
    said = capsys.readouterr().out
    assert "5 jobs not in this file, but sent by a command that was broken off" in said


def dying_put(call):
    """S3 refuses the parts of submitted/, after SQS took the jobs."""
    if call.operation == "PUT" and call.number > 2:
        call.status, call.code = 403, "AccessDenied"


def test_going_on_by_a_job_file_of_another_name_doubles_nothing(stub_aws, write, state):
    stub, clients, run = stub_aws(dying_put)
    with pytest.raises(ExplainedError):
        submit.submit(clients, run, write(numbered(20)), state)
    stub.fault = None
    outcome = submit.submit(clients, run, write(numbered(20), "renamed.json"), state)
    assert outcome == submit.Outcome(in_file=20, sent_before_break=20)
    assert sent_jobs(stub) == listed(clients, run) == once(20)


class Killed(BaseException):
    """The process ends here."""


class Death:
    """Comes at the `at`-th moment: each call of AWS and of the journal has one before and after."""

    def __init__(self, at):
        self._at, self._count = at, 0

    def passed(self):
        self._count += 1
        if self._count == self._at:
            raise Killed

    def around(self, method):
        def call(*args, **options):
            self.passed()
            answer = method(*args, **options)
            self.passed()
            return answer

        return call

    def client(self, real, *deadly):
        """The client with these calls deadly."""
        return SimpleNamespace(
            **{name: self.around(getattr(real, name)) for name in deadly},
            meta=real.meta,
            get_paginator=real.get_paginator,
        )


def dying_submit(monkeypatch, death, clients, run, path, state, again):
    """submitJob that dies at a moment; with small parts, so that there are several."""
    mortal = SimpleNamespace(
        sqs=death.client(clients.sqs, "send_message_batch"),
        s3=death.client(clients.s3, "put_object", "get_object", "list_objects_v2"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(submissions, "Parts", functools.partial(submissions.Parts, part_jobs=20))
        patch.setattr(Journal, "_write", death.around(Journal._write))
        # When the journal is finished so is the command: --again after it is asked for anew.
        finish = Journal.finish
        patch.setattr(Journal, "finish", lambda self: (death.passed(), finish(self)))
        submit.submit(mortal, run, path, state, again=again)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("again", [False, True])
def test_broken_off_at_any_moment_and_run_again_every_job_is_in_the_queue(
    stub_aws, write, state, monkeypatch, threads, again
):
    monkeypatch.setattr(sending, "_MEASURED", 1)
    monkeypatch.setattr(sending, "threads_worth", lambda seconds, cpu_seconds: threads)
    stub, clients, first_run = stub_aws()
    path = write(numbered(35))
    for moment in itertools.count(1):
        run = store.create(clients.s3, dataclasses.replace(first_run, run_id=f"R{moment:04d}"))
        if again:
            submit.submit(clients, run, path, state)
        stub.messages.clear()
        try:
            dying_submit(monkeypatch, Death(moment), clients, run, path, state, again)
            break
        except Killed:
            before = len(stub.messages)
        outcome = submit.submit(clients, run, path, state, again=again)
        wanted = once(35, 2 if again else 1)
        assert set(sent_jobs(stub)) == set(wanted)
        assert listed(clients, run) == {**once(35), **wanted}
        assert len(stub.messages) - 35 <= outcome.maybe_twice <= 10 * threads
        assert outcome.sent == len(stub.messages) - before
        assert outcome.sent + outcome.already + outcome.sent_before_break == 35
    assert moment > 30
    assert len(stub.messages) == 35


SUBMIT = """
import sys
from pathlib import Path
import boto3
from control.aws.session import AWS
from control.records import store, submissions
from control.verbs import submit
submissions.Parts.__init__.__defaults__ = (40, 10**9)
aws = AWS(boto3.Session())
run = store.live(aws.s3, sys.argv[1], "Test")
submit.submit(aws, run, Path(sys.argv[2]), Path(sys.argv[3]))
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
    outcome = submit.submit(clients, run, path, state)
    assert set(sent_jobs(stub)) == set(once(400))
    assert len(stub.messages) - 400 <= outcome.maybe_twice <= 320
    assert outcome.sent == len(stub.messages) - before
    assert listed(clients, run) == once(400)
    assert submit.submit(clients, run, path, state).already == 400


def test_a_dry_run_shows_the_first_message_and_sends_nothing(write, capsys):
    path = write([{"name": "n0"}, {"name": "n0"}, {"name": "n1"}], a=1)
    lines = list(submit.dry_run(path))
    job = make_job({"a": 1}, {"name": "n0"}, "")
    assert "2 jobs; nothing was sent" in lines[0]
    assert "n0" in lines[1] and job.id in lines[1]
    assert lines[2] == job.body


def test_a_job_of_an_earlier_jobs_name_but_other_values_is_said(stub_aws, write, state, capsys):
    _, clients, run = stub_aws()
    submit.submit(clients, run, write(numbered(3), flag=1), state)
    path = write([*numbered(2), {"name": "new"}], flag=2)
    outcome = submit.submit(clients, run, path, state)
    assert (outcome.sent, outcome.same_name) == (3, 2)
    submit.report(outcome, run, path)
    assert "2 jobs with the name of an earlier job" in capsys.readouterr().out
    outcome = submit.submit(clients, run, path, state, again=True)
    assert (outcome.sent, outcome.same_name) == (3, 0)
