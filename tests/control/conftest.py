"""Fixtures for the tests of verbs."""

from __future__ import annotations

import json

import pytest

import run as command_line
from control import cli
from control.aws import session
from control.command import in_project
from control.monitoring import act
from control.user_files import fleet_file
from control.verbs import start_cluster, submit


@pytest.fixture
def typed(embedded, monkeypatch, capsys):
    """Types a verb for a config; returns what it said."""
    monkeypatch.setattr(session, "connect", lambda config: embedded)

    def type_(config, *words):
        capsys.readouterr()
        argv = ["--config", str(config.path.parent), *words]
        with in_project(cli.config_option(argv)):
            command_line.main(argv)
        return capsys.readouterr().out

    return type_


@pytest.fixture
def stuck(set_up, tmp_path):
    """A run with a machine, whose two jobs no container can take: (clients, config, run)."""
    aws, config, run = set_up(MEMORY=900_000, CLUSTER_MACHINES=1)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": 1}, {"n": 2}]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    run = start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
    yield aws, config, run
    list(act.end_machines(aws, run))
