"""Quantities as people read them, and names that were misspelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.text import (
    file_like,
    format_dollars,
    format_duration,
    format_hours,
    format_megabytes,
    format_minute,
    format_percent,
    word_like,
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *[(0, "0 s"), (0.042, "0.042 s"), (0.4, "0.4 s"), (45, "45 s"), (89, "89 s")],
        *[(90, "1.5 min"), (246, "4.1 min"), (3600, "60 min"), (5400, "1.5 h"), (86_400, "24 h")],
        *[(280_000, "3.2 days")],
    ],
)
def test_durations(seconds, said):
    assert format_duration(seconds) == said


def test_a_moment():
    assert format_minute("2026-01-31T12:30:59Z") == "2026-01-31 12:30 UTC"


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        *[(0, "0"), (0.00001, "under 0.0001"), (0.00671, "0.0067"), (0.35, "0.35")],
        *[(1, "1.0"), (4.04, "4.0"), (1234.52, "1,234.5")],
    ],
)
def test_hours_of_machines(amount, said):
    assert format_hours(amount) == said


@pytest.mark.parametrize(
    ("mb", "said"),
    [(0, "0 MB"), (49.5, "49.5 MB"), (1900, "1.9 GB"), (15_000, "15 GB"), (3e6, "3 TB")],
)
def test_memory(mb, said):
    assert format_megabytes(mb) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "$0.00"), (0.001, "under $0.01"), (0.07, "$0.07"), (12.4, "$12.40"), (1234.5, "$1,234")],
)
def test_dollars(amount, said):
    assert format_dollars(amount) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        *[(0, "0 %"), (0.0001, "under 0.1 %"), (0.002, "0.2 %"), (0.08, "8 %")],
        *[(0.995, "99.5 %"), (0.99999, "over 99.9 %"), (1, "100 %")],
    ],
)
def test_a_share_is_never_all_or_nothing_if_it_is_not(share, said):
    assert format_percent(share) == said


@pytest.mark.parametrize(
    ("word", "meant"), [("submitjob", "submitJob"), ("setpu", "setup"), ("report", None)]
)
def test_a_word_like_a_known_one(word, meant):
    assert word_like(word, ["setup", "submitJob", "setupAWS", "monitor"]) == meant


def test_a_file_with_a_name_like_one_next_to_it(tmp_path):
    for name in ("exampleJob.json", "exampleFleet.json", "exampleJobs.csv"):
        (tmp_path / name).write_text("")
    said = file_like(tmp_path / "exampleJobs.json")
    assert said == f"Did you mean {tmp_path / 'exampleJob.json'}?"
    assert file_like(tmp_path / "mine.json") is None


def test_a_file_in_the_folder_where_such_files_usually_lie(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/myJobs.json").write_text("")
    assert file_like(tmp_path / "myJobs.json") == f"Did you mean {tmp_path / 'files/myJobs.json'}?"


def test_a_folder_that_is_not_there_suggests_nothing():
    assert file_like(Path("no/such/folder/job.json")) is None
