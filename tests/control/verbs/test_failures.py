"""failures: failed jobs in words, for programs, and as a job file."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import sys

import pytest

from control.errors import ExplainedError, UserError
from control.records import failed_jobs
from control.reports import failures
from control.user_files import job_file
from control.verbs import failures as verb
from control.verbs import submit
from tests.conftest import ROOT
from tests.terminal import lines_on_terminal
from tests.worker_records import give_up, put


@pytest.fixture
def sent(aws, run, tmp_path):
    """Submits groups with shared values; returns the jobs by name."""

    def send(groups, name="jobs.json", **shared):
        path = tmp_path / name
        path.write_text(json.dumps({**shared, "groups": groups}))
        submit.submit(aws, run, submit.read_jobs(path), tmp_path)
        return {job.name: job for job in job_file.read(path).jobs()}

    return send


@pytest.fixture
def some(aws, run, sent):
    """Make a run: some jobs failed for two reasons, one will be tried again, two are done."""
    jobs = sent([{"plate": "P1", "well": f"A{i:02d}"} for i in range(9)], out="results")
    for i in range(4):
        lines = ["\x1b[31mred\x1b[0m\ttext", f"line {i}"]
        give_up(
            aws.s3,
            run,
            jobs[f"P1-A{i:02d}"],
            reason=f"P1-A{i:02d}.csv: no line {i + 10}",
            lines=lines,
        )
    give_up(aws.s3, run, jobs["P1-A04"], reason="prog exited with code 3", exit_code=3)
    put(aws.s3, run, jobs["P1-A05"], "attempt failed", reason="took too long")
    put(aws.s3, run, jobs["P1-A06"], "attempt failed")
    put(aws.s3, run, jobs["P1-A06"], "done")
    give_up(aws.s3, run, jobs["P1-A07"])
    put(aws.s3, run, jobs["P1-A07"], "skipped")
    return jobs


def said(capsys, aws, run, **how):
    """Return what failures prints: (the answer, the notes for people)."""
    capsys.readouterr()
    newest = how.pop("newest", run)
    verb.show(aws.s3, run, newest, **how)
    return capsys.readouterr()


def test_the_logs_of_an_earlier_run_are_asked_of_that_run(aws, run, some, capsys):
    assert "python run.py logs P1-A04\n" in said(capsys, aws, run).out
    out, _ = said(capsys, aws, run, newest=dataclasses.replace(run, run_id="29991231T000000Z"))
    assert f"python run.py logs P1-A04 --run {run.run_id}\n" in out


def test_alike_ones_together_with_an_example(aws, run, some, capsys):
    out, err = said(capsys, aws, run)
    words = out.split("\n\n")
    assert words[0] == "5 of 9 jobs failed for good, for 2 reasons:"
    first, *lines = words[1].splitlines()
    assert first == "4 jobs: FILE: no line N"
    example = re.match(
        r"  (P1-A\d\d): attempt 1\.3 \(3 of 3\), 2026-01-01 00:12 UTC, i-1", lines[0]
    )
    number = int(example[1][-2:])
    assert lines[1:5] == [
        f"    {example[1]}.csv: no line {number + 10}",
        "    | red text",
        f"    | line {number}",
        f"    log: python run.py logs {example[1]}",
    ]
    assert re.fullmatch(r"  also P1-A\d\d, P1-A\d\d and 1 more", lines[5])
    assert words[2].startswith("1 job: prog exited with code 3\n  P1-A04: attempt 1.3 (3 of 3), ")
    assert "also" not in words[2]
    assert words[3] == "1 job failed once or more and will be tried again:"
    assert words[4].startswith("1 job: took too long\n  P1-A05: attempt 1.1 (1 of 3), ")
    assert err.startswith("Next: python run.py retry")


def test_a_job_given_up_before_all_attempts_is_said_to_be(aws, run, sent, capsys):
    job = sent([{"name": "a"}])["a"]
    put(aws.s3, run, job, "attempt failed", submission=2, receive=4, attempt=2)
    put(aws.s3, run, job, "failed", submission=2, receive=4, attempt=2)
    out, _ = said(capsys, aws, run)
    assert "a: attempt 2.4 (2 of 3, failed for good: another would not help), 2026" in out


def test_all_are_named_if_asked_for(aws, run, some, capsys):
    out, _ = said(capsys, aws, run, form="all")
    names = re.findall(r"^  (\S+): ", out, re.MULTILINE)
    assert sorted(names) == [f"P1-A{i:02d}" for i in range(6)]


def test_a_run_without_failures(aws, run, sent, capsys):
    jobs = sent([{"n": 1}])
    put(aws.s3, run, jobs["1"], "done")
    out, err = said(capsys, aws, run)
    assert out == "No job has failed: 1 job done, 0 skipped, 0 failed, of 1 job.\n" and err == ""


def test_the_json_is_as_documented(aws, run, some, capsys):
    out, _ = said(capsys, aws, run, form="json")
    content = json.loads(out)
    assert (content["submitted"], content["failed_for_good"], content["to_be_tried_again"]) == (
        9,
        5,
        1,
    )
    assert [(g["state"], g["jobs"], g["reason"]) for g in content["groups"]] == [
        ("failed for good", 4, "FILE: no line N"),
        ("failed for good", 1, "prog exited with code 3"),
        ("to be tried again", 1, "took too long"),
    ]
    (of_code,) = (job for job in content["jobs"] if job["job_name"] == "P1-A04")
    assert of_code["exit_code"] == 3 and of_code["attempt"] == of_code["attempts_allowed"] == 3
    attempt = f"attempts/{some['P1-A04'].id}.1.3.exit_code.failed.json"
    assert of_code["log"] == f"s3://{run.bucket}/{run.prefix}{attempt}"
    assert of_code["cause"] == "exit_code" and "log" not in of_code["last_lines"]
    assert_documented(content, "failures")


def assert_documented(content, verb):
    """Assert that documentation/json.md names exactly the fields of the JSON, as `a`, `a[].b`."""
    page = (ROOT / "documentation/json.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {verb} --json\n")[1].split("\n## ")[0]
    rows = (line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    documented = {name for row in rows for name in re.findall(r"`([\w\[\].]+)`", row)}
    found = set()
    for key, value in content.items():
        found.add(key)
        if isinstance(value, list):
            found |= {f"{key}[].{name}" for one in value for name in one}
    assert documented == found


def test_the_csv_has_a_row_a_job(aws, run, some, capsys):
    out, _ = said(capsys, aws, run, form="csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert sorted(row["job_name"] for row in rows) == [f"P1-A{i:02d}" for i in range(6)]
    (tried,) = (row for row in rows if row["state"] == "to be tried again")
    assert tried["job_name"] == "P1-A05" and tried["reason"] == "took too long"
    assert all(row["log"].startswith("s3://") for row in rows)


@pytest.mark.parametrize("form", ["", "all", "json", "csv"])
def test_there_is_no_control_character_in_a_pipe(aws, run, some, capsys, form):
    out, err = said(capsys, aws, run, form=form)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out + err)


def test_a_job_file_of_what_failed_makes_the_same_jobs(aws, run, some, capsys, tmp_path):
    out = tmp_path / "failed.json"
    _, err = said(capsys, aws, run, out=out)
    assert f"Written: {out}\n" in err
    made = {job.name: (job.id, job.body) for job in job_file.read(out).jobs()}
    assert made == {f"P1-A{i:02d}": some[f"P1-A{i:02d}"][0:3:2] for i in range(5)}
    with pytest.raises(UserError, match="exists already"):
        said(capsys, aws, run, out=out)


def test_jobs_of_several_job_files_get_a_file_each(aws, run, sent, tmp_path):
    jobs = sent([{"z": 1, "a": [2, None]}, {"z": 1.5, "a": True}], shared="x")
    jobs |= sent([{"name": "ü", "b": {"c": 1}}], "other.json", shared="y", more=1e9)
    for job in jobs.values():
        put(aws.s3, run, job, "failed")
    found = failures.find(aws.s3, run)
    paths = verb.write_job_files(aws.s3, run, found.for_good, tmp_path / "f.json")
    assert paths == [tmp_path / "f.json", tmp_path / "f-2.json"]
    made = {job.name: job.id for path in paths for job in job_file.read(path).jobs()}
    assert made == {job.name: job.id for job in jobs.values()}


def test_failed_messages_of_another_program_cannot_be_written(aws, run, sent, tmp_path):
    jobs = sent([{"n": 1}])
    put(aws.s3, run, jobs["1"]._replace(id="0123456789abcdef"), "failed")
    found = failures.find(aws.s3, run)
    with pytest.raises(ExplainedError, match="not all were sent by submitJob"):
        verb.write_job_files(aws.s3, run, found.for_good, tmp_path / "f.json")


def test_of_very_many_that_will_be_tried_again_some_are_read(aws, run, sent, monkeypatch, capsys):
    monkeypatch.setattr(failures, "_MOST_TRYING", 5)
    for job in sent([{"n": i} for i in range(12)]).values():
        put(aws.s3, run, job, "attempt failed")
    out, _ = said(capsys, aws, run)
    assert "12 jobs failed once or more and will be tried again (of 5 of them:)" in out
    assert "5 jobs: it failed" in out


def test_the_last_attempt_counts_and_interruptions_do_not(aws, run, sent):
    (job,) = sent([{"n": 1}]).values()
    for receive in (1, 2, 10):
        put(aws.s3, run, job, "attempt failed", receive=receive)
    put(aws.s3, run, job, "attempt interrupted", receive=11)
    last = [f"{run.prefix}attempts/{job.id}.1.10.exit_code.failed.json"]
    assert failed_jobs.find(aws.s3, run) == failed_jobs.Failed([], [], last)
    put(aws.s3, run, job, "attempt interrupted", submission=2, receive=1)
    assert failed_jobs.find(aws.s3, run) == failed_jobs.Failed([], [], last)


def test_a_terminal_of_80_columns_is_not_overrun(tmp_path):
    """With lines as long as a worker writes them."""
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from control import screen
from control.model import JobCounts
from control.reports import failures
record = dict(cause="exit_code", job_name="P" * 120, submission=1, receive=3, attempt=3,
    attempts_allowed=3, ended="2026-01-01T00:00:00Z",
    machine="i-0123456789abcdef0", machine_type="m5.xlarge", reason="why " * 90,
    last_lines=["x" * 500])
counts = JobCounts(2, 0, 0, 2)
other = dict(record, job_name="Q" * 120, reason="why " * 90 + "1")
found = failures.Failures(counts, [record, other], 0, [])
for line in failures.in_words(found, failures.by_verb()):
    screen.answer_in_words(line)
"""
    (tmp_path / "it.py").write_text(code)
    lines = lines_on_terminal([sys.executable, str(tmp_path / "it.py")], columns=80)
    assert any(line.startswith("    | xxx") for line in lines), lines
    assert max(map(len, lines)) <= 80
