"""logs: of the requested attempt, from where it is; live until the job has ended."""

from __future__ import annotations

import json
import re
import time

import pytest

from control.aws.cloudwatch_logs import of_job
from control.errors import UserError
from control.user_files import job_file
from control.verbs import logs, submit
from tests.worker_records import FIELDS, give_up, put

RUN_BEGAN = 1_767_225_600  # 20260101T000000Z


@pytest.fixture
def run(run, aws):
    """With a log group."""
    aws.logs.create_log_group(logGroupName=run.app_name)
    for stream in ("one", "two"):
        aws.logs.create_log_stream(logGroupName=run.app_name, logStreamName=stream)
    return type(run)(**{**vars(run), "log_group": run.app_name})


@pytest.fixture
def sent(aws, run, tmp_path):
    """Submits jobs of these names; returns them by name."""

    def send(*names):
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps({"groups": [{"name": name} for name in names]}))
        submit.submit(aws, run, submit.read_jobs(path), tmp_path)
        return {job.name: job for job in job_file.read(path).jobs()}

    return send


@pytest.fixture
def writes(aws, run):
    """Writes lines of jobs into CloudWatch as a container does, now."""

    def write(*lines, stream="one"):
        now = int(time.time() * 1000)
        aws.logs.put_log_events(
            logGroupName=run.log_group,
            logStreamName=stream,
            logEvents=[{"timestamp": now, "message": line} for line in lines],
        )

    return write


@pytest.fixture
def shown(aws, run, capsys):
    """Type logs; return (the lines of the log, the notes for people)."""

    def show(word, **how):
        capsys.readouterr()
        logs.show(aws, run, word, **how)
        out, err = capsys.readouterr()
        return out.splitlines(), err

    return show


def tried_three_times(aws, run, job):
    put(aws.s3, run, job, "attempt failed", receive=1, lines=["first"])
    put(aws.s3, run, job, "attempt interrupted", receive=2, lines=["second"])
    put(aws.s3, run, job, "done", receive=10, lines=["\x1b[1mthird\x1b[0m", "Error: x", "ü"])


def test_the_last_attempt_or_the_one_asked_for(aws, run, sent, shown):
    job = sent("a", "b")["a"]
    tried_three_times(aws, run, job)
    lines, said = shown("a")
    assert lines == ["third", "Error: x", "ü"]
    assert said.startswith(
        f"a (id {job.id}): done; attempts: 1.1 failed, 1.2 interrupted, 1.3 ended"
    )
    assert "1.10 done\n" in said
    assert said.endswith("This is attempt 1.10; another: --attempt 1.2\n")
    assert shown("a", attempt="1.1")[0] == ["first"]
    assert shown(job.id, attempt="2")[0] == ["second"]
    assert shown("a", grep="error")[0] == ["Error: x"]
    for name in ("11", "1.11", "2.1", "first", "1.1.1", "0"):
        with pytest.raises(UserError, match=f"has no attempt {name}: done; attempts: 1.1 failed"):
            shown("a", attempt=name)


def test_attempts_of_a_retry_follow_those_before(aws, run, sent, shown):
    job = sent("a")["a"]
    give_up(aws.s3, run, job, attempts=2, lines=["old"])
    put(aws.s3, run, job, "done", submission=2, receive=1, lines=["new"])
    lines, said = shown("a")
    assert lines == ["new"] and "attempts: 1.1 failed, 1.2 failed, 2.1 done" in said
    assert shown("a", attempt="1.2")[0] == ["old"]
    assert shown("a", attempt="1")[0] == ["new"]


def test_attempts_that_were_killed_without_a_word_are_known_from_the_record(
    aws, run, sent, writes, shown
):
    job = sent("a")["a"]
    writes("[a] attempt 1.2 (2 of 3) on i-2", "[a] dying", stream="two")
    put(aws.s3, run, job, "failed", receive=3, log_key="")
    assert "failed; attempts: 1.1 ended silently, 1.2 ended silently, 1.3 ended" in shown("a")[1]
    assert shown("a", attempt="1.2")[0] == ["attempt 1.2 (2 of 3) on i-2", "dying"]
    assert shown("a", attempt="1.3")[0] == []


def test_while_it_runs_what_cloudwatch_has_of_it(aws, run, sent, writes, shown):
    sent("a", "a2")
    assert "No attempt at it has begun" in shown("a2")[1]
    writes(
        "[a] attempt 1.1 (1 of 3) on i-1",
        "[a] one",
        "[a2] other",
        "so it says [a] it",
        "[a] \x1b[0mtwo",
    )
    lines, said = shown("a")
    assert lines == ["attempt 1.1 (1 of 3) on i-1", "one", "two"]
    assert "From CloudWatch, as of now" in said
    writes("[a] attempt 1.2 (2 of 3) on i-2", "[a] again", stream="two")
    assert shown("a")[0] == ["attempt 1.2 (2 of 3) on i-2", "again"]


def test_between_two_attempts_the_log_of_the_last_is_shown(aws, run, sent, writes, shown):
    job = sent("a")["a"]
    writes("[a] attempt 1.1 (1 of 3) on i-1", "[a] one", "[a] FAILED a: it failed; again in 10 s")
    put(aws.s3, run, job, "attempt failed", lines=["all of it"])
    assert shown("a")[0] == ["all of it"]


def test_an_attempt_that_was_killed_without_a_word_is_looked_for_in_cloudwatch(
    aws, run, sent, writes, shown
):
    job = sent("a")["a"]
    writes("[a] attempt 1.1 (1 of 3) on i-1", "[a] dying")
    writes("[a] attempt 1.2 (2 of 3) on i-2", "[a] fine", stream="two")
    put(aws.s3, run, job, "done", receive=2, lines=["fine"])
    lines, said = shown("a", attempt="1.1")
    assert lines == ["attempt 1.1 (1 of 3) on i-1", "dying"]
    assert "left no log on S3" in said
    assert shown("a")[0] == ["fine"]


def test_a_job_without_any_log_says_so(aws, run, sent, shown):
    put(aws.s3, run, sent("a")["a"], "skipped", log_key="")
    lines, said = shown("a")
    assert lines == [] and "It has no log." in said


def test_a_log_group_that_is_gone_is_no_error(aws, run, sent, shown):
    sent("a")
    aws.logs.delete_log_group(logGroupName=run.log_group)
    assert "No attempt at it has begun" in shown("a")[1]


def test_it_is_followed_until_its_record_and_no_line_comes_twice(aws, run, sent, writes, shown):
    job = sent("a")["a"]
    writes("[a] attempt 1.1 (1 of 3) on i-1", "[a] 0")
    pauses = []

    def wait(seconds):
        pauses.append(seconds)
        number = len(pauses)
        if number <= 3:
            writes(f"[a] {number}", "[b] other", stream="one" if number % 2 else "two")
        if number == 3:
            put(aws.s3, run, job, "done", lines=["all of it"])
        if number == 4:
            writes("[a] late")
        assert number < 10

    lines, said = shown("a", follow=True, wait=wait)
    assert lines == ["attempt 1.1 (1 of 3) on i-1", "0", "1", "2", "3", "late"]
    assert said.rstrip().endswith("a: done")
    assert shown("a", follow=True, wait=wait)[0] == ["all of it"]


def test_cloudwatch_is_asked_at_most_four_times_a_second_for_many_pages(aws, run, writes):
    for number in range(30):
        writes(*(f"[a] {number}.{i}" for i in range(20)))
    pauses = []
    calls = []
    aws.logs.meta.events.register(
        "before-parameter-build.logs.FilterLogEvents", lambda params, **_: small(params, calls)
    )
    found = list(of_job(aws.logs, run.log_group, "a", RUN_BEGAN, pauses.append))
    assert len(found) == 600 and len({event.id for event in found}) == 600
    assert len(calls) > 5 and pauses == [0.25] * (len(calls) - 1)


def small(params, calls):
    params["limit"] = 100
    calls.append(1)


def test_lines_are_searched_in_the_logs_of_all_failed_jobs(aws, run, sent, capsys):
    jobs = sent(*(f"n{i}" for i in range(5)))
    for i, job in enumerate(jobs.values()):
        lines = [f"line {i}", "ERROR: this" if i % 2 else "fine", "the error is printed twice"]
        give_up(aws.s3, run, job, attempts=1, lines=lines)
    put(aws.s3, run, jobs["n1"], "done", lines=["error"])
    gone = f"attempts/{jobs['n0'].id}.1.1.exit_code.failed.json"
    aws.s3.delete_object(Bucket=run.bucket, Key=f"{run.prefix}{gone}")
    capsys.readouterr()
    logs.grep_failed(aws, run, "error")
    out, err = capsys.readouterr()
    assert sorted(out.splitlines()) == [
        "n2: the error is printed twice",
        "n3: ERROR: this",
        "n3: the error is printed twice",
        "n4: the error is printed twice",
    ]
    assert err == "4 lines with 'error', in 3 logs of 4 failed jobs.\n"


def test_a_log_has_no_control_characters_in_a_pipe(aws, run, sent, shown):
    job = sent("a")["a"]
    put(aws.s3, run, job, "done", lines=["\x1b]0;title\x07a\tb\rc\x00\x9b31m", "50%\r100%"])
    lines, _ = shown("a")
    assert "".join(lines) == "a   bc31m50%100%"
    assert FIELDS and not re.search(r"[\x00-\x1f\x7f-\x9f]", "".join(lines))
