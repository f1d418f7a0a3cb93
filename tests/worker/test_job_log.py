from __future__ import annotations

import base64
import errno
import gzip
import os
import re
import signal

import pytest

from plumbing import job_log
from plumbing.download import ALONE
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


@pytest.mark.parametrize(("size", "fits"), [(0, True), (64 << 10, True), ((64 << 10) + 1, False)])
def test_a_log_of_up_to_64_kib_travels_inside_its_record(log_of, size, fits):
    log, _ = log_of()
    log.add(b"x" * size)

    packed = log.packed()

    assert (packed != "") == fits
    if fits:
        assert gzip.decompress(base64.b64decode(packed)) == b"x" * size


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
    """Return a line as own_lines writes it from within the job's process."""
    return job_log.MARK + text + b"\n"


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

    log.add(job_log.MARK + b"x" * 10_000)

    assert log.path.read_bytes().strip() == b"x" * 10_000


@pytest.fixture
def log(cloud, make_worker, attend):
    """Does a job with this run_job; returns the lines of its log, and its record or attempt."""

    def do(run_job, state="failed", what="attempts", **settings):
        cloud.send({"name": "A1"})
        attend(make_worker(run_job, **settings))
        record = cloud.record(state, what)
        text = cloud.log(record)
        return re.sub(r"\d+\.\d s", "0.0 s", text).splitlines(), record

    return do


def test_a_command_stands_before_and_after_what_it_wrote(log):
    def run_job(job):
        print("begins", end="")
        job.run(["printf", "%s\\n", "a b", 7])
        job.run(["sh", "-c", "echo gone; exit 3"])

    lines, failed = log(run_job)

    assert lines[1:] == [
        "begins",
        r"running: printf '%s\n' 'a b' 7",
        "a b",
        "7",
        "ended: printf with exit code 0 after 0.0 s",
        "running: sh -c 'echo gone; exit 3'",
        "gone",
        "ended: sh with exit code 3 after 0.0 s",
        lines[-1],
    ]
    assert lines[-1].startswith("FAILED A1 after 0.0 s: sh exited with code 3; retry in ")
    assert failed["last_lines"] == ["begins", "a b", "7", "gone"]


def test_a_signal_that_ended_a_program_is_named(log):
    lines, _ = log(lambda job: job.run(["sh", "-c", "kill -SEGV $$"]))

    assert lines[2] == "ended: sh by SIGSEGV after 0.0 s"


def test_the_search_for_errors_does_not_find_them_in_the_command(log):
    def run_job(job):
        job.run(["sh", "-c", "echo fine", "Error: none"], errors="Error|ended|running")
        job.run(["sh", "-c", "echo Error: true"], errors="^Error")

    lines, failed = log(run_job)

    assert failed["reason"] == "sh: Error: true"
    assert "running: sh -c 'echo fine' 'Error: none'" in lines


def test_a_program_that_a_timeout_ends_is_named_all_the_same(log):
    lines, failed = log(lambda job: job.run(["sleep", "300"]), JOB_TIMEOUT="1")

    assert (failed["reason"], failed["cause"]) == ("took longer than JOB_TIMEOUT (1 s)", "timeout")

    assert lines[1] == "running: sleep 300"
    assert "JOB_TIMEOUT" in lines[2]


def test_a_log_ends_with_how_long_it_took_and_where_its_outputs_go(log, cloud):
    def run_job(job):
        job.run(["touch", job.output_dir / "x"])

    lines, _ = log(run_job, "done", "records")

    where = f"s3://{cloud.bucket}/out/A1/"
    assert lines[-1] == (f"run_job succeeded after 0.0 s; uploading 1 file, 0.000 MB, to {where}")


def test_downloads_are_logged_before_the_program_that_reads_them(log, cloud):
    for n in range(ALONE + 5):
        cloud.s3.put_object(Bucket=cloud.bucket, Key=f"in/{n:02d}.tif", Body=b"x" * 1000)

    def run_job(job):
        job.download("in/")
        job.download("in", only="*1.tif")
        job.download(["in/03.tif", "in/04.tif", "in/05.tif"], to="some")
        for n in range(ALONE):
            job.download(f"in/{n:02d}.tif", to="single")
        job.run(["true"])
        job.download("in/00.tif", to="again")
        job.download("in/no-such")

    lines, _ = log(run_job)
    bucket = f"s3://{cloud.bucket}"
    assert lines[1:4] == [
        f"downloaded: {bucket}/in/: 15 files, 0.015 MB in 0.0 s",
        f"downloaded: {bucket}/in (*1.tif): 2 files, 0.002 MB in 0.0 s",
        f"downloaded: {bucket}/in/03.tif and 2 more: 3 files, 0.003 MB in 0.0 s",
    ]
    after = lines[1 + ALONE :]
    assert after[0] == (
        f"downloaded: 3 more, the last {bucket}/in/09.tif: 3 files, 0.003 MB in 0.0 s in all"
    )
    assert after[1] == "running: true"
    assert after[3] == f"downloaded: {bucket}/in/00.tif: 1 file, 0.001 MB in 0.0 s"
    assert after[4].startswith("FAILED")


def test_a_file_that_a_job_puts_into_the_place_of_its_output_holds_nothing_of_ours(log):
    def run_job(job):
        file = os.open(job.temp_dir / "file", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, 1)
        job.run(["echo", "result"])
        raise ValueError((job.temp_dir / "file").read_text())

    lines, failed = log(run_job)

    assert failed["reason"] == "run_job raised ValueError: result\n"
    # They pass through its standard error.
    assert lines[1:3] == ["running: echo result", "ended: echo with exit code 0 after 0.0 s"]


def test_a_job_whose_output_is_closed_runs_programs_all_the_same(log):
    def run_job(job):
        for descriptor in (1, 2):
            os.close(descriptor)
        job.run(["sh", "-c", "kill -TERM $$"])

    _, failed = log(run_job)

    assert failed["signal"] == signal.SIGTERM.name


def test_a_log_says_that_a_job_failed_for_good_and_whether_it_had_all_its_attempts(log, cloud):
    lines, _ = log(lambda job: job.run(["false"]), JOB_RETRIES="1")
    assert re.fullmatch(r"attempt 1\.1 \(1 of 1\) on i-.*", lines[0])
    assert lines[-1].endswith(": false exited with code 1; failed for good after 1 attempt")


def test_a_log_says_that_a_job_failed_for_good_at_its_first_attempt(log):
    lines, _ = log(lambda job: job["no-such-key"], JOB_RETRIES="3")
    assert lines[0].startswith("attempt 1.1 (1 of 3) on ")
    assert lines[-1].endswith("; failed for good: a retry would not help")
