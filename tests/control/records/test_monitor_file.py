"""Which run monitor watches: the one that the bucket has, on whatever computer."""

from __future__ import annotations

import dataclasses

import pytest

from control.errors import ExplainedError, UserError
from control.model import JobCounts
from control.records import monitor_file, store
from control.reports import files
from control.verbs import monitor
from tests.conftest import entry_of


def test_without_a_file_the_run_comes_from_the_bucket(set_up, typed, monkeypatch):
    aws, config, run = set_up()
    fleets = (entry_of(fleet_id="sfr-1", requested="2026-01-01T00:00:00Z"),)
    store.change(aws.s3, run, lambda r: dataclasses.replace(r, fleets=fleets))
    assert not monitor_file.path_of(config).exists()
    watched = []

    def watch(aws, run, pace):
        watched.append(run.run_id)
        return JobCounts(0, 0, 0, 0)

    monkeypatch.setattr(monitor, "watch", watch)
    monkeypatch.setattr(files, "write_at_end", lambda *_: None)
    typed(config, "monitor")
    assert watched == [run.run_id]


def test_a_run_without_machines_is_an_error(set_up, typed):
    _, config, run = set_up()
    with pytest.raises(ExplainedError, match=f"No machines have been started for run {run.run_id}"):
        typed(config, "monitor")


def test_a_missing_monitor_file_is_an_error(set_up, typed):
    _, config, _ = set_up()
    with pytest.raises(UserError, match=r"none.json: there is no such file\. Correct its name"):
        typed(config, "monitor", "none.json")
