"""Jobs of a run before the newest: the command that is named for them works."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

import run as command_line
from control import cli
from control.aws.sqs import delete_queue
from control.command import in_project
from control.errors import UserError
from control.records import states, store
from control.user_files import job_file
from control.verbs import next_command, setup, submit
from tests.worker_records import put


@pytest.fixture
def ended(set_up, tmp_path):
    """A run that has ended, one of whose three jobs failed and one has no record."""
    aws, config, run = set_up()
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"name": name} for name in ("good", "bad", "lost")]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    jobs = {job.name: job for job in job_file.read(path).jobs()}
    put(aws.s3, run, jobs["good"], "done")
    put(aws.s3, run, jobs["bad"], "failed", log_key="")
    delete_queue(aws.sqs, run.queue_url)
    when = "2026-01-01T00:00:00Z"
    return aws, config, store.change(aws.s3, run, lambda r: dataclasses.replace(r, ended=when))


def next_of(said):
    """Return the words of the last line behind `python run.py --config FOLDER`."""
    (line,) = (line for line in said.splitlines() if line.startswith("Next: "))
    return re.sub(r"^Next: python run.py --config \S+ ", "", line)


def test_retry_says_what_to_type_instead_and_that_works(ended, typed, tmp_path, monkeypatch):
    aws, config, old = ended
    new = setup.setup(aws, config)
    assert new.run_id != old.run_id
    with pytest.raises(UserError, match=f"newest run only, {new.run_id}") as refused:
        typed(config, "retry", "--run", old.run_id)
    monkeypatch.chdir(tmp_path)
    verbs = re.findall(r"python run.py --config \S+ (.*?)(?:, then: |$)", refused.value.fix)
    assert [words.split()[0] for words in verbs] == ["failures", "submitJob"]
    for words in verbs:
        said = typed(config, *words.split())
    assert "1 job sent" in said
    assert states.count(aws.s3, new).submitted == 1


def test_retry_may_name_the_newest_run(ended, typed):
    _, config, run = ended
    assert "2 jobs would be sent" in typed(config, "retry", "--run", run.run_id, "--dry-run")


def test_failures_of_an_earlier_run_end_with_what_sends_them(
    ended, typed, tmp_path, monkeypatch, capsys
):
    aws, config, old = ended

    def asked(*words):
        argv = ["--config", str(config.path.parent), "failures", *words]
        with in_project(cli.config_option(argv)):
            command_line.main(argv)
        said = next_of(capsys.readouterr().err)
        return said.replace(f"python run.py --config {config.path.parent} ", "")

    monkeypatch.chdir(tmp_path)
    assert asked().startswith("retry ")
    setup.setup(aws, config)
    first = asked("--run", old.run_id)
    verb, then = first.split("   (")
    assert verb == f"failures --run {old.run_id} --job-file failed.json"
    assert then.startswith("then submitJob failed.json:")
    assert asked(*verb.split()[1:]) == "submitJob failed.json"
    assert "1 job sent" in typed(config, "submitJob", "failed.json")


def test_of_several_job_files_that_were_written_each_is_to_be_sent(ended, tmp_path):
    _, _, old = ended
    paths = [tmp_path / "failed.json", tmp_path / "failed-2.json"]
    newest = dataclasses.replace(old, run_id="29991231T000000Z", ended="")
    assert next_command.after_failures(old, newest, paths) == (
        f"python run.py submitJob {paths[0]}   (then python run.py submitJob {paths[1]})"
    )
