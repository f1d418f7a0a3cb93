"""What a job's log says of the commands and downloads of run_job, in a real process of the job."""

from __future__ import annotations

import os
import re
import signal

import pytest

from plumbing.downloads import SINGLY


@pytest.fixture
def log(cloud, make_worker, attend):
    """Does a job with this run_job; returns the lines of its log, and its record or attempt."""

    def do(run_job, state="failed", what="attempts", **settings):
        cloud.send({"name": "A1"})
        attend(make_worker(run_job, **settings))
        record = cloud.record(state, what)
        text = cloud.read(record["log_key"]).decode()
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
    assert lines[-1].startswith("FAILED A1 after 0.0 s: sh exited with code 3; again in ")
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
    lines, _ = log(lambda job: job.run(["sleep", "300"]), JOB_TIMEOUT="1")

    assert lines[1] == "running: sleep 300"
    assert "JOB_TIMEOUT" in lines[2]


def test_a_log_ends_with_how_long_it_took_and_where_its_outputs_go(log, cloud):
    def run_job(job):
        job.run(["touch", job.output_dir / "x"])

    lines, _ = log(run_job, "done", "records")

    where = f"s3://{cloud.bucket}/out/A1/"
    assert lines[-1] == (f"run_job succeeded after 0.0 s; uploading 1 file, 0.000 MB, to {where}")


def test_downloads_are_told_before_the_program_that_reads_them(log, cloud):
    for n in range(SINGLY + 5):
        cloud.s3.put_object(Bucket=cloud.bucket, Key=f"in/{n:02d}.tif", Body=b"x" * 1000)

    def run_job(job):
        job.download("in/")
        job.download("in", only="*1.tif")
        job.download(["in/03.tif", "in/04.tif", "in/05.tif"], to="some")
        for n in range(SINGLY):
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
    after = lines[1 + SINGLY :]
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
    # They go by way of its standard error.
    assert lines[1:3] == ["running: echo result", "ended: echo with exit code 0 after 0.0 s"]


def test_a_job_whose_output_is_closed_runs_programs_all_the_same(log):
    def run_job(job):
        for descriptor in (1, 2):
            os.close(descriptor)
        job.run(["sh", "-c", "kill -TERM $$"])

    _, failed = log(run_job)

    assert failed["signal"] == signal.SIGTERM.name


def test_a_log_says_that_a_job_is_given_up_and_whether_it_had_all_its_attempts(log, cloud):
    lines, _ = log(lambda job: job.run(["false"]), JOB_RETRIES="1")
    assert re.fullmatch(r"attempt 1\.1 \(1 of 1\) on i-.*", lines[0])
    assert lines[-1].endswith(": false exited with code 1; given up after 1 attempt")


def test_a_log_says_that_a_job_is_given_up_at_its_first_attempt(log):
    lines, _ = log(lambda job: job["no-such-key"], JOB_RETRIES="3")
    assert lines[0].startswith("attempt 1.1 (1 of 3) on ")
    assert lines[-1].endswith("; given up: another attempt would not help")
