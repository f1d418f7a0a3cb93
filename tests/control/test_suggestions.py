"""Names that were misspelt."""

from pathlib import Path

import pytest

from control.suggestions import file_like, word_like


@pytest.mark.parametrize(
    ("word", "meant"), [("submitjob", "submitJob"), ("setpu", "setup"), ("report", None)]
)
def test_a_word_like_a_known_one(word, meant):
    assert word_like(word, ["setup", "submitJob", "setupAWS", "monitor"]) == meant


def test_a_file_like_one_beside_it(tmp_path):
    for name in ("exampleJob.json", "exampleFleet.json", "exampleJobs.csv"):
        (tmp_path / name).write_text("")
    said = file_like(tmp_path / "exampleJobs.json")
    assert said == f"Did you mean {tmp_path / 'exampleJob.json'}?"
    assert file_like(tmp_path / "mine.json") is None
    assert file_like(Path("no/such/folder/job.json")) is None
