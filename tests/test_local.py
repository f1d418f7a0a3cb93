"""The whole path on this computer, typed as a user types it."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
import pytest

import run
from control.cli import run_main
from control.verbs.local import local
from tests.conftest import QUICK

ROOT = Path(__file__).parent.parent
LIMIT = 120
WORKER = """
import plumbing
from plumbing import JobFailed

def output_prefix(job):
    return f"out/{job.name}"

def run_job(job):
    if job["do"] == "fail":
        print("about to fail")
        raise JobFailed("told to fail")
    (job.output_dir / "done.txt").write_text(f"{job.name} {job.config['MY_SETTING']}")

if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
"""


def command(*argv):
    return [sys.executable, str(ROOT / "run.py"), *map(str, argv)]


def typed(*argv, cwd=ROOT, env=None):
    """Type a command; returns (exit code, standard output, standard error)."""
    done = subprocess.run(
        command(*argv), cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def typed_here(capsys, monkeypatch):
    """A function that types a command in this process, at a quick pace; as `typed`."""
    monkeypatch.setattr(local, "PACE", QUICK)
    monkeypatch.chdir(ROOT)
    before = dict(os.environ)

    def type_(*argv, env=None):
        set_environment(before if env is None else env)
        try:
            code = run_main(run.main, [str(word) for word in argv])
        finally:
            set_environment(before)
        return code, *capsys.readouterr()

    return type_


def set_environment(values):
    os.environ.clear()
    os.environ.update(values)


@pytest.fixture
def own_project(write_config):
    """A project with a worker of its own; returns a function that writes its jobs."""

    def write(*groups, **changes):
        changes = {"JOB_RETRIES": 1, **changes}
        folder = write_config('MY_SETTING = ["a", 1]\n', **changes).parent
        (folder / "worker").mkdir(exist_ok=True)
        (folder / "worker/generic-worker.py").write_text(WORKER)
        (folder / "files").mkdir(exist_ok=True)
        (folder / "files/jobs.json").write_text(json.dumps({"groups": list(groups)}))
        return folder

    return write


def processes_of(folder):
    """Return the pids of processes whose command line names a path in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue  # it ended while we looked
    return found


def test_the_example_counts_the_words_of_the_documentation(tmp_path):
    output = tmp_path / "output"
    code, out, err = typed("local", "files/exampleJob.json", "--output", output, "--workers", 2)
    assert (code, err) == (0, "")
    assert "8 jobs done, 0 skipped, 0 failed" in out
    assert "On AWS the same would have run on 3 spot machines" in out
    assert "For the 2 workers of this computer: CLUSTER_MACHINES 3 -> 2" in out
    page = ROOT / "documentation/contract.md"
    with open(output / "word_counts/contract.md/word_count.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert int(row["words"]) == len(page.read_text(encoding="utf-8").split())
    assert int(row["bytes"]) == page.stat().st_size
    assert "\x1b" not in out, "control characters in a pipe"


def test_a_failed_job_is_reported_and_its_log_is_kept(own_project, tmp_path, typed_here):
    folder = own_project({"name": "good", "do": "work"}, {"name": "bad", "do": "fail"})
    output = tmp_path / "output"
    code, out, err = typed_here(
        "--config", folder, "local", "files/jobs.json", "--output", output, "--workers", 2
    )
    assert code == 1
    assert re.fullmatch(r"Error: 1 of 2 jobs failed\.\nFix: .+\n", err)
    assert " failures " in err and " retry " in err
    assert "1 of 2 jobs failed for good, for 1 reason:" in out
    assert "1 job: told to fail\n" in out and "    | about to fail\n" in out
    assert f"\nOutputs: {output}/out/good/\n" in out
    assert (output / "out/good/done.txt").read_text() == "good ['a', 1]"
    assert not (output / "out/bad").exists()
    (log,) = output.glob("runs/*/*/logs/*.txt")
    assert "about to fail" in log.read_text()
    page = log.parent.parent / "report.html"
    assert f'href="logs/{log.name}"' in page.read_text(encoding="utf-8")
    assert f"Report: {page}" in out
    report = json.loads((log.parent.parent / "report.json").read_text(encoding="utf-8"))
    assert (report["done"], report["failed"], report["local"]) == (1, 1, True)
    assert f"    log: {log}\n" in out
    no_keys = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") or "ACCESS" not in k}
    for words in (["failures"], ["logs", "bad"], ["retry"], ["status"], ["report"]):
        code, _, err = typed_here("--config", folder, *words, env=no_keys)
        assert code == 2 and "No AWS credentials" in err
        assert "1 job done, 0 skipped, 1 failed" in err and os.path.relpath(page, ROOT) in err


def test_outputs_that_would_leave_the_folder_are_refused(own_project, tmp_path, typed_here):
    folder = own_project({"name": "x", "do": "work"})
    worker = folder / "worker/generic-worker.py"
    worker.write_text(WORKER.replace('f"out/{job.name}"', '"../../outside"'))
    output = tmp_path / "a/b/output"
    code, _, err = typed_here("--config", folder, "local", "files/jobs.json", "--output", output)
    assert code == 1 and err.startswith("Error: ")
    assert not (tmp_path / "a/outside").exists() and not (tmp_path / "outside").exists()


def test_a_worker_that_cannot_start_ends_the_run_with_its_reason(own_project, tmp_path, typed_here):
    folder = own_project({"name": "x", "do": "work"})
    (folder / "worker/generic-worker.py").write_text("import no_such_package\n")
    code, out, err = typed_here(
        "--config", folder, "local", "files/jobs.json", "--output", tmp_path / "o"
    )
    assert code == 1
    assert "No module named 'no_such_package'" in out
    assert "containers end right after their start" in err.lower()


def test_a_program_that_is_not_in_the_image_ends_the_run_and_says_so(
    own_project, tmp_path, typed_here
):
    folder = own_project(*({"name": f"job{n}", "do": "work"} for n in range(9)))
    worker = folder / "worker/generic-worker.py"
    worker.write_text(
        WORKER.replace("    (job.output_dir", '    job.run(["no-such"])\n    (job.output_dir')
    )
    output = tmp_path / "output"
    code, out, err = typed_here(
        "--config", folder, "local", "files/jobs.json", "--output", output, "--workers", 1
    )
    assert code == 1
    assert "the last one: no-such: program not found in the image." in err
    assert err.endswith("\nFix: Fix what it reports, then run the same command again.\n")
    assert "Correct its name in worker/generic-worker.py" in out
    assert "9 jobs: 6 waiting, 0 running, 0 done, 3 failed" in out
    assert next(output.glob("runs/*/*/report.html")).exists()


def test_inputs_are_read_from_the_given_folder_and_only_the_first_jobs_are_done(
    own_project, typed_here
):
    folder = own_project()
    (folder / "data/in").mkdir(parents=True)
    (folder / "data/in/a.txt").write_text("found")
    groups = [{"name": name} for name in ("a", "b", "c")]
    jobs = {"input_location": "data/in", "groups": groups}
    (folder / "files/jobs.json").write_text(json.dumps(jobs))
    reads = WORKER.replace(
        'if job["do"]', 'job.download(f"{job[\'input_location\']}/a.txt")\n    if job.get("do")'
    )
    (folder / "worker/generic-worker.py").write_text(reads)
    code, _, err = typed_here("--config", folder, "local", "files/jobs.json", "--jobs", 2)
    assert (code, err) == (0, "")
    done = (folder / "local_output/out").glob("*/done.txt")
    assert sorted(path.parent.name for path in done) == ["a", "b"]


def test_a_place_that_takes_no_results_is_refused_before_anything_runs(
    own_project, tmp_path, typed_here
):
    folder = own_project({"name": "x", "do": "work"})
    (tmp_path / "taken").write_text("")
    code, out, err = typed_here(
        "--config", folder, "local", "files/jobs.json", "--output", tmp_path / "taken"
    )
    assert code == 2 and "cannot take the results" in err
    assert "Starting" not in out


def test_a_slip_in_the_python_of_the_worker_names_the_line(own_project, tmp_path, typed_here):
    folder = own_project({"name": "x", "do": "work"})
    (folder / "worker/generic-worker.py").write_text("import plumbing\n\ndef run_job(job)\n")
    code, _, err = typed_here(
        "--config", folder, "local", "files/jobs.json", "--output", tmp_path / "o"
    )
    assert code == 2
    assert "generic-worker.py, line 3: " in err and err.count("\n") == 2


@pytest.mark.parametrize("engine", [(), ("--engine", "podman")], ids=["any", "named"])
def test_containers_without_an_engine_are_refused_and_one_is_named(tmp_path, typed_here, engine):
    code, out, err = typed_here(
        *("local", "files/exampleJob.json", "--container", "--output", tmp_path / "o", *engine),
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert code == 2
    assert re.fullmatch(r"Error: There is no .*podman on this computer .+\nFix: Install .+\n", err)
    assert "Starting" not in out


def test_an_engine_that_does_not_answer_is_reported_with_its_own_words(tmp_path, typed_here):
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon.' >&2\nexit 1\n")
    program.chmod(0o755)
    code, _, err = typed_here(
        *("local", "files/exampleJob.json", "--container", "--output", tmp_path / "o"),
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert code == 2
    assert err.startswith("Error: docker does not work here: Cannot connect to the Docker daemon.")


class Served:
    """A `local --serve` in the background, what it says, and the environment in its file."""

    def __init__(self, folder, output, *more):
        words = command("--config", folder, "local", "--serve", "--output", output, *more)
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.environment = dict(os.environ)
        guard = threading.Timer(LIMIT, self.process.kill)
        guard.start()
        self.said = []
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if line.startswith("Next:"):
                break
        guard.cancel()
        text = (folder / ".runs/local-aws.sh").read_text()
        self.environment |= dict(re.findall(r"^export (\w+)='(.*)'$", text, re.MULTILINE))

    def stop(self, by=signal.SIGINT):
        self.process.send_signal(by)
        try:
            return self.process.wait(LIMIT)
        finally:
            self.process.stdout.close()


@pytest.fixture
def served(own_project, tmp_path):
    """Serves an AWS for a project with two jobs, and their inputs if any: (folder, Served)."""
    started = []

    def start(inputs=""):
        groups = {"name": "good", "do": "work"}, {"name": "bad", "do": "fail"}
        folder = own_project(*groups, CLUSTER_MACHINES=1)
        if inputs:
            (folder / inputs).mkdir()
            (folder / inputs / "one.tif").write_text("pixels")
            jobs = {"input_location": inputs, "groups": groups}
            (folder / "files/jobs.json").write_text(json.dumps(jobs))
        file = ["files/jobs.json"] if inputs else []
        started.append(Served(folder, tmp_path / "output", "--workers", "2", *file))
        return folder, started[0]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
            server.process.stdout.close()


def test_each_verb_next_to_a_served_aws(served, tmp_path, typed_here):
    folder, server = served()
    said = "\n".join(server.said)
    assert "For the 2 workers of this computer: " not in said, "they are as config.py has them"
    assert "Its bucket test-bucket is empty: --input FOLDER" in said
    assert server.said[-2].strip() == f". {os.path.relpath(folder / '.runs/local-aws.sh', ROOT)}"
    assert server.said[-1].startswith(f"Next: python run.py --config {folder} setup")
    assert len(server.said) < 8, "what to type is not hidden among other words"

    def type_next(*argv):
        return typed_here("--config", folder, *argv, env=server.environment)

    assert type_next("setup")[0] == 0
    code, out, _ = type_next("submitJob", "files/jobs.json")
    assert code == 0 and out.startswith("2 jobs sent")
    code, out, _ = type_next("submitJob", "files/jobs.json")
    assert code == 0 and out.startswith("0 jobs sent") and "2 jobs skipped: already" in out
    code, _, err = type_next("startCluster", "files/exampleFleet.json")
    assert code == 2 and "--yes" in err
    code, out, err = type_next("startCluster", "files/exampleFleet.json", "--yes")
    assert (code, err) == (0, "")
    assert f"Next: python run.py --config {folder} monitor" in out
    code, out, err = type_next("monitor")
    assert code == 1 and err.startswith("Error: 1 of 2 jobs failed.")
    assert f"    log: python run.py --config {folder} logs bad" in out
    assert "\nOutputs: s3://test-bucket/out/good/\n" in out
    assert f"python run.py --config {folder} failures" in err
    assert f"python run.py --config {folder} retry" in err
    code, _, err = type_next("submitJob", "files/jobs.json")
    assert code == 1 and "has ended" in err
    code, out, _ = type_next("status")
    assert code == 0 and ", ended 20" in out and "1 done, 0 skipped, 1 failed of 2 jobs" in out
    assert f"Next: python run.py --config {folder} failures " in out
    code, out, _ = type_next("stop")
    assert code == 0 and "has ended" in out and "1 job done, 0 skipped, 1 failed" in out
    assert f"Next: python run.py --config {folder} failures " in out
    records = [
        json.loads(one.get()["Body"].read()) for one in bucket_of(server) if "/records/" in one.key
    ]
    assert sorted(r["state"] for r in records) == ["done", "failed"]
    # Only a done record holds the log itself.
    assert all({*r, "log"} == _fields_of_the_contract() for r in records)
    assert server.stop() == 0
    assert (tmp_path / "output/out/good/done.txt").exists()
    assert _nothing_left(folder)
    code, _, err = type_next("status")
    assert code == 1 and "The AWS on this computer has ended" in err
    assert f"are in {os.path.relpath(tmp_path / 'output', ROOT)}/." in err


def test_a_shell_that_reads_the_served_file_reaches_that_aws_and_its_inputs(served):
    folder, server = served("pictures")
    (entry,) = bucket_of(server)
    assert entry.key == "pictures/one.tif"
    file = folder / ".runs/local-aws.sh"
    script = f'. "{file}" && exec "{sys.executable}" run.py --config "{folder}" status'
    done = subprocess.run(
        ["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 1 and "has not been set up" in done.stderr
    assert server.stop(signal.SIGTERM) == 0, "ended by SIGTERM it writes the outputs, too"
    assert not file.exists()
    assert _nothing_left(folder)


def bucket_of(server):
    """Return the objects in the bucket of a served AWS."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    session = boto3.Session(*(server.environment[name] for name in names), region_name="us-east-1")
    s3 = session.resource("s3", endpoint_url=server.environment["AWS_ENDPOINT_URL"])
    (bucket,) = s3.buckets.all()
    return list(bucket.objects.all())


def _fields_of_the_contract():
    text = (ROOT / "documentation/contract.md").read_text(encoding="utf-8")
    table = text.split("Every attempt and record is a JSON object:")[1].split("The causes:")[0]
    names = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(\w+)`", " ".join(names)))


def _nothing_left(folder):
    """Return whether all processes of the project have ended, after at most a few seconds."""
    deadline = time.monotonic() + 10
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not processes_of(folder)


def test_ctrl_c_in_the_middle_leaves_nothing_running(own_project, tmp_path):
    folder = own_project({"name": "long", "do": "work"})
    worker = folder / "worker/generic-worker.py"
    slow = WORKER.replace("def run_job(job):", "def run_job(job):\n    import time; time.sleep(60)")
    worker.write_text(slow)
    process = subprocess.Popen(
        command("--config", folder, "local", "files/jobs.json", "--output", tmp_path / "o"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    for line in process.stdout:
        if line.startswith("Fleet"):
            break
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert re.fullmatch(r"Error: .+\nFix: .+\n", err)
    assert _nothing_left(tmp_path)
