from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from plumbing import workfolder

_HOLDER = """
import sys, pathlib
from plumbing import workfolder
print(workfolder.make(pathlib.Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another container that has a folder below the same root."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(workfolder.__file__))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process.stdin, process.stdout:
        process.folder = process.stdout.readline().strip()
        yield process
        process.kill()
        process.wait()


def test_the_folder_of_a_living_container_stays(holder, tmp_path):
    workfolder.remove_leftovers(tmp_path)

    assert os.path.isdir(holder.folder)


def test_the_folder_of_a_killed_container_is_removed(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()

    workfolder.remove_leftovers(tmp_path)

    assert not os.path.exists(holder.folder)


def test_folders_of_others_are_not_touched(tmp_path):
    (tmp_path / "jobs-of-mine").mkdir()
    (tmp_path / "jobs-file").touch()

    workfolder.remove_leftovers(tmp_path)

    assert sorted(p.name for p in tmp_path.iterdir()) == ["jobs-file", "jobs-of-mine"]


def test_what_a_program_made_unwritable_is_removed_all_the_same(tmp_path):
    folder = tmp_path / "job"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").touch()
    (folder / "link").symlink_to(tmp_path)
    (folder / "deep" / "er").chmod(0)
    (folder / "deep").chmod(0o500)

    workfolder.remove(folder)

    assert not folder.exists()
    assert tmp_path.exists()


def test_removing_what_is_not_there_is_nothing(tmp_path):
    workfolder.remove(tmp_path / "none")
