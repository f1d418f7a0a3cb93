"""The output of the verbs: on a terminal with 80 columns, and in a pipe."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import subprocess
import sys
import time

import pytest

import run as command_line
from control.cli import run_main
from control.config import load_config
from control.model import utc
from control.monitoring import act
from control.records import store
from control.user_files import fleet_file, job_file
from control.verbs import setup, start_cluster, submit
from tests.conftest import ROOT, leading_to, ready_clients, write_config_in
from tests.terminal import lines_on_terminal
from tests.worker_records import put

COLUMNS = 80
LIMIT = 120
LONG = "A_name_that_somebody_made_as_long_as_AWS_lets_it_be_"
# In an order in which each finds something to say.
SHOWN = [
    *(("setupAWS",), ("setup",), ("check",), ("status",), ("status", "--all")),
    *(("failures",), ("failures", "--all"), ("retry", "--dry-run"), ("logs", "no such job")),
    *(("report",), ("stop", "--dry-run"), ("submitJob", "files/exampleJob.json")),
    *(("startCluster", "--no-check", "--yes"), ("startCluster",), ("monitor", "none.json")),
]
JSON = [("status", "--json"), ("check", "--json")]
MARK = "what is shown ends here"
# One process types all, as importing takes longer than most verbs do.
TYPE_ALL = f"""
import json, sys
import run
from control.cli import run_main
for words in json.loads(sys.argv[1]):
    run_main(run.main, words)
    for stream in sys.stdout, sys.stderr:
        print("{MARK}", file=stream, flush=True)
"""


@pytest.fixture(scope="module")
def started(embedded_server, tmp_path_factory):
    """A run with a long name and a machine that no container fits on: (clients, config, run)."""
    folder = tmp_path_factory.mktemp("started")
    changes = {"MEMORY": 900_000, "CLUSTER_MACHINES": 1, "JOB_TIMEOUT": 3600}
    config = load_config(write_config_in(folder, APP_NAME=f"{LONG}1", **changes))
    with leading_to(embedded_server):
        aws = ready_clients(config)
        run = setup.setup(aws, config)
        path = folder / "jobs.json"
        names = [f"{'plate-of-the-year-' * 6}{n}" for n in range(3)]
        path.write_text(json.dumps({"groups": [{"name": name} for name in names]}))
        submit.submit(aws, run, submit.read_jobs(path), folder)
        for job in itertools.islice(job_file.read(path).jobs(), 2):
            reason = f"\x1b[31m{'why it failed, at length, ' * 20}{'w' * 200}"
            put(aws.s3, run, job, "failed", reason=reason, lines=["\x1b[1m" + "x" * 300])
        run = start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
        yield aws, config, run
        list(act.end_machines(aws, store.latest(aws.s3, run.bucket, run.app_name)))


def command(config, *typed):
    """Return the command line of one process that types all these commands."""
    words = [["--config", str(config.path.parent), *words] for words in typed]
    return [sys.executable, "-c", TYPE_ALL, json.dumps(words)]


@pytest.fixture
def here(embedded_server, monkeypatch):
    """Let commands use the AWS on this computer only, as next to `local --serve`."""
    for name, value in {**embedded_server.environment, "EMBEDDED_AWS": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def seen():
    """The outputs so far, by place and by command."""
    return {}


@pytest.fixture
def on_a_terminal(started, here, seen):
    """The lines that each of SHOWN writes to a terminal with 80 columns."""
    if "terminal" not in seen:
        lines = lines_on_terminal(command(started[1], *SHOWN), COLUMNS, cwd=ROOT)
        parts = "\n".join([*lines, ""]).split(f"{MARK}\n{MARK}\n")[:-1]
        shown = [part.splitlines() for part in parts]
        seen["terminal"] = dict(zip(SHOWN, shown, strict=True))
    return seen["terminal"]


@pytest.fixture
def in_a_pipe(started, here, seen):
    """The (standard output, standard error) of each of SHOWN and JSON, written to pipes."""
    if "pipe" not in seen:
        words = [*SHOWN, *JSON]
        done = subprocess.run(
            command(started[1], *words), cwd=ROOT, capture_output=True, text=True, timeout=LIMIT
        )
        both = [done.stdout.split(f"{MARK}\n")[:-1], done.stderr.split(f"{MARK}\n")[:-1]]
        seen["pipe"] = dict(zip(words, zip(*both, strict=True), strict=True))
    return seen["pipe"]


@pytest.mark.parametrize("verb", command_line.VERBS)
def test_help_does_not_overrun_80_columns(monkeypatch, capsys, verb):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    assert run_main(command_line.main, [verb, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"Example: python run.py {verb}" in "".join(lines)
    assert max(map(len, lines)) <= COLUMNS


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_a_terminal_of_80_columns_is_never_overrun(on_a_terminal, words):
    lines = on_a_terminal[words]
    shown = "".join(lines)
    assert len(lines) > 1 and "Traceback" not in shown and "A bug" not in shown
    assert max(map(len, lines)) <= COLUMNS


def test_watching_writes_the_state_over_the_one_before(started, here):
    aws, config, run = started

    def end(when):
        store.change(aws.s3, run, lambda now: dataclasses.replace(now, ended=when))

    end(utc(time.time()))
    lines = lines_on_terminal(command(config, ("status", "--watch")), COLUMNS, cwd=ROOT)
    end("")
    # What was typed before may have sent some.
    assert re.search(r"of \d+ jobs", "".join(lines)) and max(map(len, lines)) <= COLUMNS


@pytest.mark.parametrize("words", [*SHOWN, *JSON], ids=" ".join)
def test_a_pipe_gets_no_control_characters(in_a_pipe, words):
    out, err = in_a_pipe[words]
    written = out + err
    assert written and all(line.isprintable() for line in written.split("\n"))
    if "--json" in words:
        json.loads(out)
