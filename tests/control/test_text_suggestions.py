"""Names that were misspelled."""

from pathlib import Path

import pytest

from control.text import file_like, word_like


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
