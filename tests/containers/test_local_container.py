"""local --container, typed as a user types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess

import pytest

from tests.faults.site import until
from tests.test_local import ROOT, WORKER, command

LIMIT = 600


@pytest.fixture
def typed(engine):
    """Type a command with this engine at hand; (exit code, standard output, standard error)."""

    def run(*argv):
        done = subprocess.run(
            command(*argv),
            env={**os.environ, **engine.environ},
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def own_project(write_config, base_image):
    """A project of its own, with a Dockerfile on a base that is at hand."""
    folder = write_config('MY_SETTING = ["a", 1]', JOB_RETRIES=1).parent
    (folder / "worker").mkdir()
    (folder / "worker/generic-worker.py").write_text(WORKER)
    template = (ROOT / "worker/Dockerfile").read_text()
    base = f"FROM {base_image('bookworm')}"
    text = re.sub(r"^FROM \S+", base, template, count=1, flags=re.MULTILINE)
    (folder / "worker/Dockerfile").write_text(text)
    (folder / "files").mkdir()
    jobs = {"groups": [{"name": name, "do": "work"} for name in ("a", "b", "c")]}
    (folder / "files/jobs.json").write_text(json.dumps(jobs))
    return folder


def outputs(folder):
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name.parts[0] != "runs"}


def test_the_example_gives_the_same_in_containers_as_in_processes(
    engine, typed, worker_image, tmp_path
):
    example = ("local", "files/exampleJob.json", "--workers", 2)
    image = ("--image", worker_image, "--engine", engine.name)
    code, out, err = typed(*example, "--output", tmp_path / "containers", *image)
    assert (code, err) == (0, ""), out
    assert "8 jobs done, 0 skipped, 0 failed" in out
    code, _, err = typed(*example, "--output", tmp_path / "processes")
    assert (code, err) == (0, "")
    made = outputs(tmp_path / "containers")
    assert len(made) == 8
    assert made == outputs(tmp_path / "processes")


def test_the_image_of_a_project_is_built_and_only_the_first_jobs_are_done(
    engine, typed, own_project
):
    container = ("--container", "--engine", engine.name, "--jobs", 1)
    code, out, err = typed("--config", own_project, "local", "files/jobs.json", *container)
    assert (code, err) == (0, ""), out
    assert f"Building the image of {own_project}/worker/Dockerfile" in out
    made = {str(name): text for name, text in outputs(own_project / "local_output").items()}
    assert made == {"out/a/done.txt": b"a ['a', 1]"}


def test_a_build_that_fails_is_explained_by_its_last_lines(engine, typed, own_project):
    dockerfile = own_project / "worker/Dockerfile"
    base = re.search(r"^FROM \S+", dockerfile.read_text(), re.MULTILINE)[0]
    dockerfile.write_text(f"{base}\nRUN echo 'my own complaint' && exit 3\n")
    container = ("--container", "--engine", engine.name)
    code, out, err = typed("--config", own_project, "local", "files/jobs.json", *container)
    assert code == 1
    assert re.fullmatch(r"Error: The image of .+/worker/Dockerfile .+\nFix: .+\n", err), err
    assert "my own complaint" in out
    assert "Starting an AWS" not in out


def test_an_image_that_is_not_there_is_a_mistake(engine, typed, tmp_path):
    image = ("--image", "localhost/no/such:image", "--engine", engine.name)
    code, _, err = typed("local", "files/exampleJob.json", "--output", tmp_path / "o", *image)
    assert code == 2
    assert err.startswith("Error: There is no image localhost/no/such:image on this computer.\n")


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_no_container_is_left_when_it_is_interrupted(
    engine, obedient_image, write_config, tmp_path, by
):
    folder = write_config().parent
    (folder / "jobs.json").write_text(json.dumps({"groups": [{"name": "a", "do": "wait"}]}))
    image = ("--image", obedient_image, "--engine", engine.name)
    process = subprocess.Popen(
        command("--config", folder, "local", folder / "jobs.json", *image),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Where its files are is in the mark that its containers bear.
        env={**os.environ, **engine.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )

    def ours(*options):
        labels = engine.run("ps", *options, "--format", "{{.Labels}}").stdout
        return str(tmp_path) in labels

    until(ours, LIMIT)
    process.send_signal(by)
    process.wait(LIMIT)
    until(lambda: not ours("--all"), LIMIT)
