"""The next command that setup and check name, for each state of a run."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
from botocore.exceptions import ClientError

from control.checks import all_checks
from control.monitoring import act
from control.records import store
from control.user_files import fleet_file, job_file
from control.verbs import next_command, setup, start_cluster, submit
from tests.conftest import ROOT
from tests.worker_records import put

FLEET = ROOT / "files/exampleFleet.json"


@pytest.fixture
def next_of(typed, monkeypatch):
    """Return the command that a verb names last; of check only the findings on the run count."""
    monkeypatch.setattr(all_checks, "CHECKS", all_checks.CHECKS[:1])

    def ask(config, verb):
        start = f"Next: python run.py --config {config.path.parent} "
        line = typed(config, verb, *([str(FLEET)] if verb == "check" else [])).splitlines()[-1]
        assert line.startswith(start)
        words = (
            line.replace(start.removeprefix("Next: "), "").removeprefix("Next: ").split("   ")[0]
        )
        return words.replace(os.path.relpath(FLEET), "FLEET") if verb == "check" else words

    return ask


def test_each_step_leads_to_the_next(embedded, project, next_of, tmp_path, monkeypatch):
    aws, config = embedded, project(MEMORY=900_000, CLUSTER_MACHINES=1)
    assert next_of(config, "check") == "setup"
    jobs = "submitJob files/exampleJob.json"
    assert next_of(config, "setup") == next_of(config, "check") == jobs
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": 1}]}))
    run = store.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    assert next_of(config, "setup") == "startCluster files/exampleFleet.json"
    assert next_of(config, "check") == "startCluster FLEET"
    run = store.load(aws.s3, run.bucket, run.app_name, run.run_id)
    run = start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
    try:
        assert next_of(config, "setup") == next_of(config, "check") == "monitor, or status --watch"
        changed = dataclasses.replace(config, MEMORY=800_000)
        monkeypatch.setattr("control.verbs.local.environment.load_config", lambda _: changed)
        assert next_of(config, "check") == "setup"
        monkeypatch.undo()
    finally:
        list(act.end_machines(aws, run))


def test_after_stop_the_machines_are_due_or_if_all_is_done_the_end(started_and_stopped, next_of):
    aws, config, run, (job,) = started_and_stopped
    assert next_of(config, "check") == "startCluster FLEET"
    put(aws.s3, run, job, "done")
    assert next_of(config, "check") == "monitor"
    store.change(aws.s3, run, lambda r: dataclasses.replace(r, ended="2026-01-01T00:00:00Z"))
    assert next_of(config, "check") == "setup"


@pytest.fixture
def started_and_stopped(set_up, tmp_path):
    aws, config, run = set_up(MEMORY=900_000, CLUSTER_MACHINES=1)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": 1}]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    run = start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
    list(act.end_machines(aws, run))
    return aws, config, run, list(job_file.read(path).jobs())


def test_what_may_not_be_asked_does_not_stop_check(started_and_stopped, next_of, monkeypatch):
    _, config, _, _ = started_and_stopped

    def denied(*_):
        raise ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeSpotFleetRequests")

    monkeypatch.setattr(next_command, "next_verb", denied)
    assert next_of(config, "check") == "status"


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (("done", "failed", None, None), "1 job failed and 2 jobs did not end. To run them"),
        (
            ("done", "failed"),
            "1 job failed. To run them in this one: python run.py submitJob JOBFILE",
        ),
        (("done", "skipped"), ""),
    ],
    ids=["both", "failed", "all done"],
)
def test_setup_says_what_the_run_before_has_left(set_up, capsys, tmp_path, states, said):
    aws, config, run = set_up()
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": n} for n in range(len(states))]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    for job, state in zip(job_file.read(path).jobs(), states, strict=True):
        if state:
            put(aws.s3, run, job, state)
    assert setup.setup(aws, config).run_id == run.run_id
    assert "In the last run" not in capsys.readouterr().out, "this is the same run"
    store.change(aws.s3, run, lambda r: dataclasses.replace(r, ended="2026-01-01T00:00:00Z"))
    new = setup.setup(aws, config)
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith(f"In the last run, {run.run_id}")]
    assert len(lines) == bool(said) and said in "".join(lines)
    # What it says to type does it.
    outcome = submit.submit(aws, new, submit.read_jobs(path), tmp_path, missing=True)
    assert outcome.sent == sum(state not in ("done", "skipped") for state in states)
