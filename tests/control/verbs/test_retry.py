"""retry: jobs that failed for good are sent again once, also when the command is killed."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter

import boto3
import pytest
from botocore.exceptions import ClientError

from control.aws.s3 import list_keys
from control.aws.session import AWS
from control.aws.sqs import delete_queue
from control.errors import ExplainedError, UserError
from control.model import JobCounts
from control.records import failed_jobs, job_objects, states, store, submissions
from control.records.delivery import Outcome
from control.user_files import job_file
from control.verbs import retry, submit
from control.verbs.retry import Wanted
from tests.injection import Broken, Injection, changing
from tests.worker_records import give_up, put

ALL = Wanted()


@pytest.fixture
def config(tmp_path):
    """As much of a config as retry asks for while the queue is there."""
    return type("Project", (), {"project": tmp_path})


@pytest.fixture
def sent(aws, run, config):
    """Submits jobs of these names; returns them by name. The queue is empty then."""

    def send(*names):
        path = config.project / "jobs.json"
        path.write_text(json.dumps({"shared": 1, "groups": [{"name": name} for name in names]}))
        submit.submit(aws, run, submit.read_jobs(path), config.project)
        taken_out(aws, run)
        return {job.name: job for job in job_file.read(path).jobs()}

    return send


def taken_out(aws, run):
    """Empty the queue; return how often each job was in it, by name and submission."""
    found = Counter()
    # Without WaitTimeSeconds an empty queue would answer after the time that the queue has.
    all_at_once = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 0}
    while messages := aws.sqs.receive_message(
        QueueUrl=run.queue_url, MessageAttributeNames=["All"], **all_at_once
    ).get("Messages"):
        for message in messages:
            values = {k: v["StringValue"] for k, v in message["MessageAttributes"].items()}
            found[values["job_name"], int(values["submission"])] += 1
            aws.sqs.delete_message(QueueUrl=run.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return found


def records_of(aws, run):
    keys = list_keys(aws.s3, run.bucket, f"{run.prefix}records/")
    return sorted(key.rsplit("/", 1)[-1] for key in keys)


def test_what_was_given_up_is_sent_and_nothing_else(aws, run, config, sent):
    jobs = sent("done", "skipped", "failed", "waits", "tried", "both")
    put(aws.s3, run, jobs["done"], "done")
    put(aws.s3, run, jobs["skipped"], "skipped")
    give_up(aws.s3, run, jobs["failed"])
    put(aws.s3, run, jobs["tried"], "attempt failed")
    give_up(aws.s3, run, jobs["both"])
    put(aws.s3, run, jobs["both"], "done")
    assert retry.retry(aws, config, run, ALL) == 1
    assert taken_out(aws, run) == {("failed", 2): 1}
    entry = list(submissions.entries(aws.s3, run))[-1]
    assert entry["id"] == jobs["failed"].id and entry["submission"] == 2
    assert json.dumps(entry["body"], sort_keys=True, separators=(",", ":")) == jobs["failed"].body


def test_a_job_sent_again_counts_as_unfinished(aws, run, config, sent):
    jobs = sent("a", "b")
    give_up(aws.s3, run, jobs["a"])
    put(aws.s3, run, jobs["b"], "done")
    assert states.count(aws.s3, run) == JobCounts(2, 1, 0, 1)
    retry.retry(aws, config, run, ALL)
    assert states.count(aws.s3, run) == JobCounts(2, 1, 0, 0)
    assert not list((config.project / ".runs").rglob("*.json"))


def test_a_reason_that_no_job_was_given_up_for_is_told_from_no_job_at_all(
    aws, run, config, sent, capsys
):
    give_up(aws.s3, run, sent("a")["a"])
    assert retry.retry(aws, config, run, retry.Wanted((), "no such reason", False)) == 0
    said = capsys.readouterr().out
    assert "1 job failed for good, none with 'no such reason' in its reason" in said


def test_typed_twice_it_sends_nothing_unless_the_job_failed_again(aws, run, config, sent, capsys):
    jobs = sent("a")
    give_up(aws.s3, run, jobs["a"])
    assert retry.retry(aws, config, run, ALL) == 1
    assert retry.retry(aws, config, run, ALL) == 0
    assert "No job has failed for good" in capsys.readouterr().out
    assert taken_out(aws, run) == {("a", 2): 1}
    give_up(aws.s3, run, jobs["a"], submission=2)
    assert retry.retry(aws, config, run, ALL) == 1
    assert taken_out(aws, run) == {("a", 3): 1}


def test_a_record_that_a_worker_wrote_in_the_meantime_stays(aws, run, config, sent):
    jobs = sent("a")
    give_up(aws.s3, run, jobs["a"])
    failed_again = []

    def fail_again(**_):
        if not failed_again:
            failed_again.append(1)
            give_up(aws.s3, run, jobs["a"], submission=2, attempts=1)

    aws.s3.meta.events.register("before-call.s3.DeleteObject", fail_again)
    assert retry.retry(aws, config, run, ALL) == 1
    assert failed_again and records_of(aws, run) == [f"{jobs['a'].id}.exit_code.failed.json"]
    assert retry.retry(aws, config, run, ALL) == 1
    assert taken_out(aws, run) == {("a", 2): 1, ("a", 3): 1}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(["P1-A01"]), {"P1-A01"}),
        (Wanted(["a02", "P1-A01"]), {"P1-A02", "P1-A01"}),
        (Wanted(reason="NO SUCH"), {"P1-A01", "P2-A03"}),
        (Wanted(["P2"], "no such"), {"P2-A03"}),
        (Wanted(["A02"], "no such"), set()),
        (ALL, {"P1-A01", "P1-A02", "P2-A03"}),
    ],
    ids=["a name", "parts", "a reason", "both", "neither", "all"],
)
def test_a_selection_is_sent(aws, run, config, sent, wanted, names, capsys):
    jobs = sent("P1-A01", "P1-A02", "P2-A03")
    for name, reason in (("P1-A01", "no such file"), ("P1-A02", "code 3"), ("P2-A03", "No such")):
        give_up(aws.s3, run, jobs[name], reason=reason)
    assert retry.retry(aws, config, run, wanted, dry_run=True) == len(names)
    assert names <= set(capsys.readouterr().out.split())
    assert taken_out(aws, run) == {}
    assert retry.retry(aws, config, run, wanted) == len(names)
    said = capsys.readouterr().out.partition("all attempts: ")[2].split("\n")[0]
    assert sorted(said.split(", ") if said else []) == sorted(names)
    assert taken_out(aws, run) == {(name, 2): 1 for name in names}


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("P1", "means 2 jobs of the jobs that failed for good in run"),
        ("done", "has not failed for good: done; attempts: 1.1 done"),
        ("waits", "has not failed for good: not finished; no attempt has ended yet"),
        ("P1-A0", "has not failed for good: done"),
        ("nobody", "No job of run"),
    ],
)
def test_a_word_that_means_no_failed_job_is_explained(aws, run, config, sent, word, what):
    jobs = sent("P1-A01", "P1-A02", "done", "waits", "P1-A0")
    put(aws.s3, run, jobs["P1-A0"], "done")
    give_up(aws.s3, run, jobs["P1-A01"])
    give_up(aws.s3, run, jobs["P1-A02"])
    put(aws.s3, run, jobs["done"], "done")
    with pytest.raises(UserError, match=what):
        retry.retry(aws, config, run, Wanted([word]))
    assert taken_out(aws, run) == {}


def test_failed_jobs_of_another_program_are_named(aws, run, config, sent, capsys):
    jobs = sent("a")
    give_up(aws.s3, run, jobs["a"]._replace(id="0123456789abcdef", name="theirs"))
    assert retry.retry(aws, config, run, ALL) == 0
    assert "1 job not sent: they were not submitted by submitJob" in capsys.readouterr().out


def test_jobs_without_a_record_are_sent_only_if_the_queue_is_empty(aws, run, config, sent):
    sent("a", "b")
    aws.sqs.send_message(QueueUrl=run.queue_url, MessageBody="{}")
    with pytest.raises(ExplainedError, match="1 job wait"):
        retry.retry(aws, config, run, Wanted(unfinished=True))
    aws.sqs.purge_queue(QueueUrl=run.queue_url)
    assert retry.retry(aws, config, run, ALL) == 0
    assert retry.retry(aws, config, run, Wanted(unfinished=True)) == 2
    assert taken_out(aws, run) == {("a", 2): 1, ("b", 2): 1}


def test_two_at_once_on_one_computer_are_refused(aws, run, config, sent):
    jobs = sent("a")
    give_up(aws.s3, run, jobs["a"])
    refusals = []

    def another(**_):
        if not refusals:
            with pytest.raises(ExplainedError, match="under way") as refused:
                retry.retry(aws, config, run, ALL)
            refusals.append(refused)

    aws.sqs.meta.events.register("before-call.sqs.SendMessageBatch", another)
    retry.retry(aws, config, run, ALL)
    assert refusals and taken_out(aws, run) == {("a", 2): 1}


def test_killed_after_any_call_the_next_completes_it(aws, run, config, sample, monkeypatch):
    """On the clients of a session whose calls can break; one at a time, to know which does."""
    monkeypatch.setattr(job_objects, "CONNECTIONS", 1)
    session = boto3.Session(region_name="us-east-1")
    injection, broken = Injection(session), AWS(session)
    names = [f"n{i:02d}" for i in range(12)]
    runs = (f"2026{k:04d}T000000Z" for k in itertools.count())

    def given_up_run():
        this = store.create(aws.s3, dataclasses.replace(run, run_id=next(runs)))
        path = config.project / "jobs.json"
        path.write_text(json.dumps({"groups": [{"name": name} for name in names]}))
        submit.submit(aws, this, submit.read_jobs(path), config.project)
        for job in job_file.read(path).jobs():
            put(aws.s3, this, job, "failed", log_key="")
        taken_out(aws, this)
        return this

    with injection.watch():
        retry.retry(broken, config, given_up_run(), ALL)
    calls = changing(injection.calls)
    assert taken_out(aws, run) == {(name, 2): 1 for name in names}
    # Of twelve records removed the last two will do.
    last = [k for k, (_, operation) in enumerate(calls, 1) if operation == "DeleteObject"][-2]
    for k in sample(sorted({*range(1, 8), *range(last, len(calls) + 1)}), 3):
        this = given_up_run()
        with injection.watch(break_after=k), pytest.raises(Broken):
            retry.retry(broken, config, this, ALL)
        this = store.load(aws.s3, this.bucket, this.app_name, this.run_id)
        retry.retry(aws, config, this, ALL)
        sent = taken_out(aws, this)
        # All of them are one part, which may be sent twice.
        assert sent.keys() == {(name, 2) for name in names}
        assert sent.total() <= 2 * len(names), f"after change {k}, {calls[k - 1]}"
        assert records_of(aws, this) == []
        assert {(e["name"], e["submission"]) for e in submissions.entries(aws.s3, this)} == {
            (name, number) for name in names for number in (1, 2)
        }
        assert retry.retry(aws, config, this, ALL) == 0


def test_an_aws_that_refuses_in_the_middle_is_said_and_the_next_goes_on(aws, run, config, sent):
    jobs = sent(*(f"n{i:02d}" for i in range(25)))
    for job in jobs.values():
        give_up(aws.s3, run, job, attempts=1)
    calls = []

    def refuse(**_):
        calls.append(1)
        if len(calls) == 2:
            error = {"Code": "AccessDenied", "Message": "no"}
            raise ClientError(
                {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}, "SendMessageBatch"
            )

    aws.sqs.meta.events.register("before-call.sqs.SendMessageBatch", refuse)
    chosen = Wanted(("n00", "n01"), reason="it failed")
    calls.append(1)
    with pytest.raises(ExplainedError, match="0 of . jobs were sent") as error:
        retry.retry(aws, config, run, chosen)
    assert error.value.fix.endswith("python run.py retry n00 n01 --reason 'it failed'")
    calls.clear()
    with pytest.raises(ExplainedError, match="10 of 2. jobs were sent") as error:
        retry.retry(aws, config, run, ALL)
    assert error.value.fix.endswith("python run.py retry")
    assert retry.retry(aws, config, run, ALL) == 15
    assert taken_out(aws, run) == {(name, 2): 1 for name in jobs}
    assert records_of(aws, run) == []


@pytest.mark.parametrize("unfinished", [False, True], ids=["all finished", "some without a record"])
def test_after_the_end_the_run_is_set_up_again(set_up, tmp_path, unfinished):
    aws, config, run = set_up()
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"name": name} for name in "abc"]}))
    submit.submit(aws, run, submit.read_jobs(path), config.project)
    jobs = {job.name: job for job in job_file.read(path).jobs()}
    put(aws.s3, run, jobs["a"], "done")
    give_up(aws.s3, run, jobs["b"])
    if not unfinished:
        put(aws.s3, run, jobs["c"], "done")
    delete_queue(aws.sqs, run.queue_url)
    store.change(aws.s3, run, lambda r: dataclasses.replace(r, ended="2026-01-02T00:00:00Z"))
    run = store.latest(aws.s3, run.bucket, run.app_name)
    assert retry.retry(aws, config, run, ALL) == 1 + unfinished
    again = store.live(aws.s3, run.bucket, run.app_name)
    assert again.run_id == run.run_id and not again.ended and again.memory == {}
    expected = {("b", 2): 1} | ({("c", 2): 1} if unfinished else {})
    assert taken_out(aws, again) == expected
    assert retry.retry(aws, config, again, ALL) == 0


def test_a_run_that_ends_at_the_same_moment_is_noticed(aws, run, config, sent):
    jobs = sent("a")
    give_up(aws.s3, run, jobs["a"])

    def end(**_):
        store.change(aws.s3, run, lambda r: dataclasses.replace(r, ended="2026-01-02T00:00:00Z"))

    aws.s3.meta.events.register("before-call.s3.DeleteObject", end)
    with pytest.raises(ExplainedError, match="was ended by its monitor"):
        retry.retry(aws, config, run, ALL)


def test_again_takes_a_job_from_those_given_up_too(aws, run, config, sent):
    jobs = sent("a", "b", "c")
    give_up(aws.s3, run, jobs["a"])
    put(aws.s3, run, jobs["b"], "done")
    path = config.project / "jobs.json"
    submit.submit(aws, run, submit.read_jobs(path), config.project)
    assert records_of(aws, run) == sorted(
        [f"{jobs['a'].id}.exit_code.failed.json", f"{jobs['b'].id}.done.json"]
    )
    submit.submit(aws, run, submit.read_jobs(path), config.project, again=True)
    assert records_of(aws, run) == [f"{jobs['b'].id}.done.json"]
    (tried,) = failed_jobs.find(aws.s3, run).retrying
    assert tried.endswith(f"attempts/{jobs['a'].id}.1.3.exit_code.failed.json")


def test_no_failed_record_of_a_job_sent_again_is_left_whatever_its_cause(aws, run, config, sent):
    jobs = sent("a")
    put(aws.s3, run, jobs["a"], "failed", cause="timeout")
    put(aws.s3, run, jobs["a"], "failed", cause="exit_code", submission=2)
    assert retry.retry(aws, config, run, ALL) == 1
    assert taken_out(aws, run) == {("a", 3): 1}
    assert records_of(aws, run) == []


def test_jobs_of_an_interrupted_retry_are_sent_by_again(aws, run, config, sent):
    """An --again continues another --again that was interrupted, but no retry."""
    jobs = sent("a", "b")
    for job in jobs.values():
        give_up(aws.s3, run, job)

    def interrupt(**_):
        raise KeyboardInterrupt

    aws.s3.meta.events.register("before-call.s3.DeleteObject", interrupt)
    with pytest.raises(KeyboardInterrupt):
        retry.retry(aws, config, run, ALL)
    aws.s3.meta.events.unregister("before-call.s3.DeleteObject", interrupt)
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    retry.retry(aws, config, run, ALL)
    assert taken_out(aws, run) == {("a", 2): 1, ("b", 2): 1}
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    path = config.project / "jobs.json"
    outcome = submit.submit(aws, run, submit.read_jobs(path), config.project, again=True)
    assert outcome == Outcome(in_file=2, sent=2)
