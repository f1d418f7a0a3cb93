"""make test splits the tests by file: what a file's tests share is made once."""

import os

import pytest


@pytest.mark.parametrize("turn", range(4))
def test_the_tests_of_a_file_run_in_one_process(turn, testrun_uid, tmp_path_factory):
    processes = tmp_path_factory.getbasetemp().parent / f"processes-{testrun_uid}"
    with processes.open("a") as file:
        file.write(f"{os.getpid()}\n")
    assert set(processes.read_text().split()) == {str(os.getpid())}
