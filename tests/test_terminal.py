"""What the verbs show: on a terminal of 80 columns, and in a pipe."""

from __future__ import annotations

import dataclasses
import fcntl
import itertools
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

import pytest

import run as command_line
from control.config import load_config
from control.model import utc
from control.monitoring import act
from control.records import store
from control.user_files import fleet_file, job_file
from control.verbs import start_cluster, submit
from tests.conftest import ROOT
from tests.worker_records import put

COLUMNS = 80
NUMBERS = itertools.count(1)
LIMIT = 120
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONG = "A_name_that_somebody_made_as_long_as_AWS_lets_it_be_"
# In an order in which each finds something to say.
SHOWN = [
    *(("setupAWS",), ("setup",), ("check",), ("status",), ("status", "--all")),
    *(("failures",), ("failures", "--all"), ("retry", "--dry-run"), ("logs", "no such job")),
    *(("report",), ("stop", "--dry-run"), ("submitJob", "files/exampleJob.json")),
    *(("startCluster", "--no-check", "--yes"), ("startCluster",), ("monitor", "none.json")),
]


@pytest.fixture
def started(set_up, tmp_path):
    """A run with a long name and a machine that no container fits on; gives its config."""
    name = f"{LONG}{next(NUMBERS)}"
    aws, config, run = set_up(APP_NAME=name, MEMORY=900_000, CLUSTER_MACHINES=1, JOB_TIMEOUT=3600)
    path = tmp_path / "jobs.json"
    names = [f"{'plate-of-the-year-' * 6}{n}" for n in range(3)]
    path.write_text(json.dumps({"groups": [{"name": name} for name in names]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    for job in itertools.islice(job_file.read(path).jobs(), 2):
        reason = f"\x1b[31m{'why it failed, at length, ' * 20}{'w' * 200}"
        put(aws.s3, run, job, "failed", reason=reason, lines=["\x1b[1m" + "x" * 300])
    run = start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
    yield aws, config, run
    list(act.end_machines(aws, store.latest(aws.s3, run.bucket, run.app_name)))


def command(config, words):
    return [sys.executable, str(ROOT / "run.py"), "--config", str(config.path.parent), *words]


def environment():
    # As beside `local --serve`: nothing outside this computer is asked.
    return {**os.environ, "EMBEDDED_AWS": "1", "TERM": "xterm-256color"}


def on_a_terminal(config, words):
    """What a command writes onto a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command(config, words), env=environment(), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            some = os.read(ours, 65_536)
        except OSError:  # the other side is closed: Linux's way to say end of file
            break
        if not some:
            break
        written += some
    os.close(ours)
    process.wait(LIMIT)
    return written.decode()


@pytest.mark.parametrize("verb", command_line.VERBS)
def test_help_does_not_overrun_80_columns(write_config, verb):
    config = load_config(write_config())
    lines = _ESCAPES.sub("", on_a_terminal(config, (verb, "--help"))).splitlines()
    assert f"Example: python run.py {verb}" in "".join(lines)
    assert max(map(len, lines)) <= COLUMNS


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_a_terminal_of_80_columns_is_never_overrun(started, words):
    _, config, _ = started
    shown = on_a_terminal(config, words)
    # A progress bar writes over itself, from the beginning of the line.
    lines = _ESCAPES.sub("", shown).replace("\r", "\n").splitlines()
    assert len(lines) > 1 and "Traceback" not in shown and "A bug" not in shown
    assert max(map(len, lines)) <= COLUMNS


def test_watching_writes_the_state_over_the_one_before(started):
    aws, config, run = started
    ended = {"ended": utc(time.time())}
    store.change(aws.s3, run, lambda now: dataclasses.replace(now, **ended))
    shown = on_a_terminal(config, ("status", "--watch"))
    # Writing over begins with a carriage return.
    lines = _ESCAPES.sub("", shown).replace("\r", "\n").splitlines()
    assert "of 3 jobs" in shown and max(map(len, lines)) <= COLUMNS


@pytest.mark.parametrize("words", [*SHOWN, ("status", "--json"), ("check", "--json")], ids=" ".join)
def test_a_pipe_gets_no_control_characters(started, words):
    _, config, _ = started
    done = subprocess.run(
        command(config, words), env=environment(), capture_output=True, text=True, timeout=LIMIT
    )
    written = done.stdout + done.stderr
    assert written and all(line.isprintable() for line in written.split("\n"))
    if "--json" in words:
        json.loads(done.stdout)
