from __future__ import annotations

import errno
import os

import pytest

from plumbing import own_lines
from plumbing.job_log import LAST_LINES, LONGEST_LINE, JobLog


@pytest.fixture
def log_of(tmp_path):
    logs = []

    def make(limit=1_000_000):
        printed = []
        log = JobLog(tmp_path / "log.txt", "A1", limit, printed.append)
        logs.append(log)
        return log, printed

    yield make
    for log in logs:
        log.close()


def test_every_line_is_printed_with_the_name_in_front(log_of):
    log, printed = log_of()

    log.add(b"one\ntw")
    log.add(b"o\nthree")
    log.line("from the worker")

    assert b"".join(printed) == b"[A1] one\n[A1] two\n[A1] three\n[A1] from the worker\n"
    assert log.path.read_bytes() == b"one\ntwo\nthree\nfrom the worker\n"


def test_a_progress_bar_that_only_returns_the_carriage_makes_lines(log_of):
    log, printed = log_of()

    log.add(b"10%\r20%\r\n30%\r")

    assert b"".join(printed).split(b"\n") == [b"[A1] 10%", b"[A1] 20%", b"[A1] 30%", b""]


def test_beyond_the_limit_only_the_file_goes_on(log_of):
    log, printed = log_of(limit=1000)

    for number in range(200):
        log.add(b"line %d\n" % number)
    log.line("DONE")

    out = b"".join(printed)
    assert b"LOG_MB_PER_JOB reached" in out and b"line 199" not in out
    assert out.count(b"LOG_MB_PER_JOB") == 1
    assert out.endswith(b"[A1] DONE\n")
    assert log.path.read_bytes().endswith(b"line 199\nDONE\n")


def test_a_line_that_never_ends_is_printed_in_pieces_and_kept_whole(log_of):
    log, printed = log_of()

    for _ in range(10):
        log.add(b"x" * 10_000)

    out = b"".join(printed)
    assert 90_000 < out.count(b"x") <= 100_000
    assert max(map(len, out.split(b"\n"))) <= LONGEST_LINE + len("[A1] ")
    assert log.path.read_bytes() == b"x" * 100_000


def test_no_piece_is_so_long_that_another_worker_could_write_into_it(log_of):
    log, printed = log_of()

    log.add(b"".join(b"line %d\n" % number for number in range(5000)))

    assert max(map(len, printed)) <= 4096
    assert b"".join(printed).count(b"\n") == 5000


def test_bytes_that_are_no_utf8_are_kept_in_the_file_and_replaced_in_print(log_of):
    log, printed = log_of()

    log.add(b"caf\xe9\n")

    assert b"".join(printed).decode() == "[A1] caf\ufffd\n"
    assert log.path.read_bytes() == b"caf\xe9\n"
    assert log.last_lines() == ["caf\ufffd"]


def test_the_last_lines_are_the_last_thirty(log_of):
    log, _ = log_of(limit=0)

    for number in range(50_000):
        log.add(b"line %d\n" % number)

    assert log.last_lines() == [f"line {n}" for n in range(50_000 - LAST_LINES, 50_000)]


def test_a_full_disk_does_not_stop_the_job(log_of, monkeypatch):
    log, printed = log_of()

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.add(b"one\n")
    monkeypatch.undo()

    assert b"".join(printed) == b"[A1] one\n"
    assert log.fault == "the disk is full: the log could not be written"


def own(text):
    """As own_lines writes it from within the job's process."""
    return own_lines.MARK + text + b"\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_of_the_workers_own_from_within_the_job_stand_among_those_of_the_job(log_of, size):
    log, printed = log_of()
    whole = b"one\n" + own(b"running: x") + b"two\x1e\n50%" + own(b"ended: x") + b"three\x1e\x16"

    for start in range(0, len(whole), size):
        log.add(whole[start : start + size])
    log.line("FAILED")

    lines = [b"one", b"running: x", b"two\x1e", b"50%", b"ended: x", b"three\x1e\x16", b"FAILED"]
    assert log.path.read_bytes().split(b"\n") == [*lines, b""]
    assert b"".join(printed) == b"".join(b"[A1] %s\n" % line for line in lines)
    assert log.last_lines() == ["one", "two\x1e", "50%", "three\x1e\x16"]


def test_the_last_lines_of_the_job_are_not_pushed_out_by_the_workers_own(log_of):
    log, _ = log_of()

    log.add(b"what it said\n")
    for _ in range(5000):
        log.add(own(b"running: a program that says nothing, with a long line of arguments"))

    assert log.last_lines() == ["what it said"]


def test_very_many_lines_of_the_workers_own_reach_the_limit_too(log_of):
    log, printed = log_of(limit=1000)

    for _ in range(200):
        log.add(own(b"running: x"))

    assert 1000 < len(b"".join(printed)) < 2000
    assert b"LOG_MB_PER_JOB reached" in b"".join(printed)
    assert log.path.read_bytes() == b"running: x\n" * 200


def test_a_mark_that_no_line_follows_is_not_held_back_for_ever(log_of):
    log, _ = log_of()

    log.add(own_lines.MARK + b"x" * 10_000)

    assert log.path.read_bytes().strip() == b"x" * 10_000
