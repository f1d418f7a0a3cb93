from __future__ import annotations

import errno
import os
import signal
import sys

import pytest

from plumbing import machine
from plumbing.errors import JobFailed
from plumbing.job import Job
from plumbing.settings import Config


@pytest.fixture
def job(tmp_path):
    job = Job(
        id="0123456789abcdef",
        name="A1",
        values={"shared": 1, "both": "shared", "group": {"both": "group", "well": "A1"}},
        config=Config({"MEMORY": "4000"}),
        folder=tmp_path,
        source_bucket="bucket",
        s3=None,
    )
    for folder in (job.input_dir, job.output_dir, job.temp_dir):
        folder.mkdir()
    return job


def test_a_value_is_the_groups_else_the_shared_one(job):
    assert (job["well"], job["both"], job["shared"]) == ("A1", "group", 1)


@pytest.mark.parametrize("key", ["missing", "group"])
def test_a_value_that_is_nowhere_fails_the_job_with_its_name(job, key):
    with pytest.raises(JobFailed, match=key):
        job[key]


def test_a_default_can_be_given_for_a_value(job):
    assert job.get("missing", 7) == 7
    assert job.get("both") == "group"
    assert job.get("shared", 7) == 1


def test_a_program_gets_its_arguments_as_they_are(job, capfd):
    nasty = ["a b", "$(touch x)", "'; rm -rf /", "*", "é", job.output_dir, 7]

    job.run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *nasty])

    assert capfd.readouterr().out.strip() == str([str(word) for word in nasty])
    assert os.listdir(job.temp_dir) == []


def test_a_program_starts_in_the_temporary_folder_without_input(job, capfd):
    job.run(["sh", "-c", "pwd; cat"])

    assert capfd.readouterr().out.strip() == str(job.temp_dir)


def test_what_a_program_prints_can_go_to_a_file(job):
    with open(job.output_dir / "out.txt", "w") as file:
        job.run(["echo", "result"], stdout=file)

    assert (job.output_dir / "out.txt").read_text() == "result\n"


@pytest.mark.parametrize("code", [0, 3])
def test_a_line_that_reports_an_error_fails_the_job_and_is_the_reason(job, capfd, code):
    script = f"echo begun; echo 'Error: line 4' >&2; echo 'Error: line 5'; printf end; exit {code}"

    with pytest.raises(JobFailed, match=r"^sh: Error: line 4$") as failure:
        job.run(["sh", "-c", script], errors="^Error|^Fatal")

    assert failure.value.exit_code == code
    assert capfd.readouterr().out == "begun\nError: line 4\nError: line 5\nend"


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ("cannot load", "sh: cannot load it: ValueError: no module Blur"),
        ("^Traceback", "sh: ImportError: no MySQL"),
        ("no module", "sh: ValueError: no module Blur"),
        ("^continued", "sh: continued"),
    ],
    ids=["followed-by-it", "begins-it", "ends-it", "before-another-line"],
)
def test_a_traceback_ends_in_the_reason(job, errors, reason):
    lines = [
        *("Traceback (most recent call last):", '  File "a.py", line 1', "ImportError: no MySQL"),
        "cannot load it",
        *("Traceback (most recent call last):", '  File "b.py", line 2', "    module = load()"),
        *("             ^^^^^^", "ValueError: no module Blur", "continued", "  to the end"),
    ]

    with pytest.raises(JobFailed) as failure:
        job.run(["sh", "-c", 'printf "%s\\n" "$@"', "sh", *lines], errors=errors)

    assert str(failure.value) == reason


def test_the_last_line_is_checked_even_if_it_is_not_ended(job):
    with pytest.raises(JobFailed, match="printf: Fatal"):
        job.run(["printf", "fine\nFatal"], errors="Fatal")


def test_output_without_such_a_line_is_no_failure_and_all_of_it_is_in_the_log(job, capfd):
    job.run(["seq", "200000"], errors="Error")

    assert capfd.readouterr().out.split() == [str(n) for n in range(1, 200001)]


def test_results_that_go_to_a_file_are_not_searched(job):
    with open(job.output_dir / "out.txt", "w") as file:
        job.run(["echo", "Error as a result"], stdout=file, errors="Error")
        with pytest.raises(JobFailed, match="on stderr"):
            job.run(["sh", "-c", "echo Error on stderr >&2"], stdout=file, errors="Error")

    assert (job.output_dir / "out.txt").read_text() == "Error as a result\n"


def test_a_process_left_behind_does_not_hold_the_job_up(job, monkeypatch):
    monkeypatch.setattr("plumbing.program._DRAIN_SECONDS", 0.2)
    job.run(["sh", "-c", "sleep 600 & echo $! > pid"], errors="Error")

    os.kill(int((job.temp_dir / "pid").read_text()), signal.SIGKILL)  # it still runs


def test_another_exit_code_than_0_fails_the_job(job):
    with pytest.raises(JobFailed, match="sh exited with code 3") as failure:
        job.run(["sh", "-c", "exit 3"])

    assert failure.value.exit_code == 3


def test_a_program_that_a_signal_ended_fails_the_job_with_its_name(job):
    with pytest.raises(JobFailed, match="ended by SIGSEGV") as failure:
        job.run(["sh", "-c", "kill -SEGV $$"])

    assert failure.value.signal == "SIGSEGV"


def test_out_of_memory_is_distinguished_from_other_kills(job, monkeypatch):
    kills = iter([3, 4])
    monkeypatch.setattr(machine, "oom_kills", lambda: next(kills))

    with pytest.raises(JobFailed, match="out of memory.*MEMORY is 4000"):
        job.run(["sh", "-c", "kill -KILL $$"])


def test_a_program_that_is_not_in_the_image_is_missing_on_every_machine(job):
    with pytest.raises(JobFailed, match="no-such-program: program not found") as failure:
        job.run(["no-such-program"])

    assert (failure.value.retry, failure.value.machine) == (False, True)
    assert failure.value.cause == "missing_program"


@pytest.mark.parametrize("program", ["input/script.sh", "./script.sh"])
def test_a_script_that_the_job_lacks_says_nothing_about_the_machine(job, program):
    name = job.folder / program if program.startswith("input") else program

    with pytest.raises(JobFailed, match="script.sh: program not found") as failure:
        job.run([name])

    assert (failure.value.retry, failure.value.machine) == (False, False)
    assert failure.value.cause == "missing_program"


@pytest.mark.parametrize(
    ("mode", "why"), [(0o644, "Permission denied"), (0o755, "Exec format error")]
)
def test_a_file_that_is_no_program_is_none_on_every_machine(job, mode, why):
    path = job.temp_dir / "text"
    path.write_text("no program")
    path.chmod(mode)

    with pytest.raises(JobFailed, match=why) as failure:
        job.run([path])

    assert (failure.value.retry, failure.value.machine) == (False, False)
    assert failure.value.cause == "missing_program"


def test_a_program_that_the_machine_cannot_start_is_its_fault(job, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("plumbing.program.subprocess.Popen", refuse)

    with pytest.raises(JobFailed, match="temporarily unavailable") as failure:
        job.run(["echo"])

    assert failure.value.machine and failure.value.cause == "machine_error"


@pytest.mark.parametrize("word", ["x" * 200_000, "a\0b"], ids=["too long", "null byte"])
def test_arguments_that_no_program_can_have_are_the_jobs_own_fault(job, word):
    with pytest.raises(JobFailed, match="echo cannot be started") as failure:
        job.run(["echo", word])

    assert not failure.value.machine and failure.value.cause == "exception"


@pytest.mark.parametrize("to", ["../../up", "/somewhere/else", "link/x", "a/../../.."])
def test_no_download_goes_to_a_folder_outside_the_jobs_own(job, tmp_path_factory, to):
    (job.input_dir / "link").symlink_to(tmp_path_factory.mktemp("elsewhere"))

    with pytest.raises(JobFailed, match="the job's own folder"):
        job.download("in/x", to=to)


@pytest.mark.parametrize("to", ["sub", "../temp/sub", "absolute"])
def test_a_download_may_go_anywhere_within_it(job, cloud, to):
    cloud.s3.put_object(Bucket=cloud.bucket, Key="in/x", Body=b"input")
    job.s3 = cloud.s3

    path = job.download("in/x", to=job.temp_dir if to == "absolute" else to, bucket=cloud.bucket)

    assert path.read_bytes() == b"input"
    assert job.folder in path.resolve().parents


def test_a_download_that_aws_refuses_names_the_bucket(job, cloud):
    job.s3 = cloud.s3

    with pytest.raises(JobFailed, match="s3://no-such-bucket/a: .*NoSuchBucket") as failure:
        job.download("a", bucket="no-such-bucket")

    assert failure.value.cause == "refused_by_aws"


def test_a_folder_to_start_in_that_is_not_there_is_named(job):
    with pytest.raises(JobFailed, match="/no/such/folder"):
        job.run(["true"], cwd="/no/such/folder")


def test_a_pattern_goes_with_a_prefix_only(job):
    with pytest.raises(TypeError, match="not with a list"):
        job.download(["in/a.tif"], only="*.tif")


@pytest.mark.parametrize("command", ["echo a", b"echo", []])
def test_only_a_list_is_a_command(job, command):
    with pytest.raises(TypeError, match="list"):
        job.run(command)
