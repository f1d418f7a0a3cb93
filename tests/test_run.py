"""The command line as people meet it: two lines and the right exit code for every mistake."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

import run
from control import cli
from control.verbs.local import local

ROOT = Path(__file__).parent.parent


@pytest.fixture
def project(write_config):
    """Write a project, with a job file next to its config.py if given; return the folder."""

    def write(jobs=None, **changes):
        folder = write_config(**changes).parent
        if jobs is not None:
            (folder / "jobs.json").write_text(jobs)
        return folder

    return write


@pytest.fixture
def typed(capsys):
    """A function that types a command; returns exit code, standard output, standard error."""

    def type_(*argv):
        code = cli.run_main(run.main, [str(word) for word in argv])
        out, err = capsys.readouterr()
        return code, out, err

    return type_


def two_lines(err):
    """Return the two lines of an error; fail on anything else."""
    match = re.fullmatch(r"Error: (.+)\nFix: (.+)\n", err)
    assert match, err
    return match.groups()


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


GOOD_JOBS = json.dumps({"groups": [{"plate": "P1"}]})


@pytest.mark.parametrize(
    ("settings", "what", "fix"),
    [
        ({"MEMROY": 4000, "MEMORY": ...}, "MEMROY is not a setting", "MEMORY"),
        ({"MEMORY": "a lot"}, "MEMORY = 'a lot' is not a whole number", "4, without quotes"),
        ({"MEMORY": ...}, "MEMORY is not set", "MEMORY = "),
        ({"AWS_BUCKET": "your-bucket-name"}, "still the placeholder", "local"),
        ({"AWS_REGION": "us-esat-1"}, "us-esat-1", "us-east-1"),
        ({"AWS_REGION": "us-est-1"}, "us-est-1", "us-east-1"),
        ({"AWS_REGION": "us-wst-1"}, "us-wst-1", "us-west-1"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, "credential", "Remove"),
        ({"AWS_PROFILE": "nobody"}, "nobody", "list-profiles"),
    ],
    ids=[
        *("typo", "text", "missing", "placeholder"),
        *("region", "region's letter left out", "another's", "credential", "profile"),
    ],
)
def test_mistakes_in_config_are_said_before_any_call(project, typed, settings, what, fix):
    code, _, err = typed("--config", project(**settings), "setup")
    error, cure = two_lines(err)
    assert code == 2
    assert what in error and fix in cure


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, "no such config file"),
        ("exit()\n", "line 1: SystemExit"),
        ('APP_NAME = "Mine"\nMEMORY = (4000\n', "line 2"),
    ],
    ids=["missing", "ends Python", "slip"],
)
def test_a_config_that_is_no_python_is_a_mistake_too(tmp_path, typed, text, what):
    if text:
        (tmp_path / "config.py").write_text(text)
    code, _, err = typed("--config", tmp_path, "setup")
    assert code == 2 and what in two_lines(err)[0]


@pytest.mark.parametrize(
    ("jobs", "what"),
    [
        (None, "no such job file"),
        ("", "is empty"),
        ('{"groups": [{"a": 1},]', "line 1"),
        ("[1, 2]", "one JSON object"),
        ('{"plate": "P1"}', 'no "groups"'),
        ('{"groups": []}', 'no "groups"'),
        ('{\n"groups": [\n{"a": 1},\n"A01"\n]}', "line 4, group 2"),
        ('{"groups": [{"a": 1}, {}]}', "group 2: the group is empty"),
        (json.dumps({"groups": [{"a": 1}, {"a": "x" * 1024 * 1024}]}), "group 2: the job is 1,0"),
        ('{"groups": "wells.csv"}', "wells.csv"),
        ('{"group": [{"a": 1}]}', 'has "group"'),
        ('{"groups": [' + "[" * 5000 + "]" * 5000 + "]}", "nested too deeply"),
        ('{"groups": [{"a": ' + "[" * 960 + "]" * 960 + "}]}", ""),
        ('{"groups": [{"a": 1, "b": 1}, {"a": 1, "b": 1, "_comment": 2}]}', None),
        (
            '{"groups": [{"name": "x", "b": 1}, {"name": "x", "b": 2}]}',
            "different jobs with the same",
        ),
    ],
    ids=[
        *("missing", "empty", "not JSON", "a list", "no groups", "no group", "no object"),
        *("empty group", "too long", "no table", "group", "deep", "half as deep"),
        *("same twice", "one name"),
    ],
)
def test_mistakes_in_job_files_are_said_before_anything_is_sent(project, typed, jobs, what):
    folder = project(jobs)
    code, out, err = typed("--config", folder, "submitJob", "--dry-run", folder / "jobs.json")
    if what is None:
        assert code == 0 and "group 1 and group 2" in out
        return
    error, _ = two_lines(err)
    assert code == 2
    assert what in error and "jobs.json" in error


@pytest.mark.parametrize(
    ("argv", "fix"),
    [
        (["setpu"], "setup"),
        (["submitJob"], "--help"),
        (["setup", "--fast"], "python run.py setup --help"),
        (["setup", "extra"], "python run.py setup --help"),
        (["status", "--grep", "x"], "python run.py status --help"),
        (["submitJob", "files/exampelJob.json"], "Did you mean files/exampleJob.json?"),
        (["startCluster", "--confg", "x"], "Did you mean --config?"),
        (["local", "files/exampleJob.json", "--workers", "0"], "--help"),
        (["local", "files/exampleJob.json", "--workers", "two"], "--help"),
        (["local"], "files/exampleJob.json"),
        (
            ["local", "files/exampleJob.json", "--worker", "2"],
            "Did you mean --workers? See: python",
        ),
        (["local", "--worker=2"], "python run.py local --help"),
        (["monitor", "files/none.json"], "Correct its name"),
        (["monitor", "files"], "Leave the name out"),
        (["monitor", "files/exampleJob.json"], "Leave the name out"),
        (["monitor", "files/exampleJob.json", "yes"], "--help"),
        (["monitor", "--cheap"], "Did you mean --cheapest?"),
        (["status", "--all", "--watch"], "Leave one out"),
        (["logs", "--grep", "x", "--follow"], "Name a job"),
        (["logs", "--grep", "x", "--attempt", "1"], "Name a job"),
        (["local", "files"], "Name a file in it, such as "),
        (["local", "config.py"], "files/exampleJob.json"),
        (["submitJob", "--dry-run", "examples/hello_world/worker"], "Name a JSON file."),
    ],
)
def test_mistakes_in_the_command_are_two_lines_and_exit_2(project, typed, argv, fix):
    code, _, err = typed("--config", project(), *argv)
    assert code == 2 and fix in two_lines(err)[1]


def test_a_job_file_for_a_config_gets_the_place_of_job_files(typed):
    code, _, err = typed("--config", ROOT / "files/exampleJob.json", "local")
    error, fix = two_lines(err)
    assert code == 2
    assert "is a JSON file" in error and "python run.py local files/exampleJob.json" in fix


def test_the_groups_of_a_table_are_checked_before_the_aws_on_this_computer_comes_up(
    project, typed, monkeypatch
):
    monkeypatch.setattr(local, "embedded_aws", lambda *_: pytest.fail("it came up"))
    folder = project('{"groups": "wells.csv"}')
    (folder / "wells.csv").write_text("name,well\nA,1\nA,2\n")
    code, _, err = typed("--config", folder, "local", folder / "jobs.json")
    assert code == 2 and "are different jobs with the same name, 'A'" in two_lines(err)[0]


def test_no_credentials(project, typed, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = typed("--config", project(), "setup")
    error, fix = two_lines(err)
    assert code == 2
    assert "No AWS credentials" in error and "aws configure" in fix


def test_an_endpoint_that_does_not_answer(project, typed, monkeypatch, closed_port):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    code, _, err = typed("--config", project(), "setup")
    error, _ = two_lines(err)
    assert code == 1
    assert str(closed_port) in error and "cannot be reached" in error


def test_an_option_that_stands_before_the_verb_is_found_if_misspelt(typed):
    code, _, err = typed("--confg", "examples/hello_world", "setup")
    error, fix = two_lines(err)
    assert code == 2
    assert "--confg" in error and "Did you mean --config?" in fix


@pytest.mark.parametrize("verb", run.VERBS)
def test_every_verb_has_help_with_an_example(typed, verb):
    code, out, _ = typed(verb, "--help")
    assert code == 0 and f"Example: python run.py {verb}" in out


def test_the_shipped_files_are_taken_as_they_are(typed):
    code, out, _ = typed("--config", ROOT, "submitJob", "--dry-run", "files/exampleJob.json")
    assert code == 0 and "8 jobs" in out


def test_a_dry_run_says_that_it_cannot_tell_what_is_missing(typed):
    code, _, err = typed("submitJob", "files/exampleJob.json", "--dry-run", "--missing")
    error, fix = two_lines(err)
    assert code == 2 and "--dry-run reads the job file alone" in error
