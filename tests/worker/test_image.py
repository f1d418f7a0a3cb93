"""The files of the image that are no modules, and what its Python must understand."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).resolve().parents[2] / "worker"
MODULES = sorted(WORKER.rglob("*.py"))


def test_the_entrypoint_becomes_the_worker_and_keeps_its_exit_code():
    environ = {"PATH": os.environ["PATH"], "WORKER_PYTHON": sys.executable}

    ended = subprocess.run(
        [WORKER / "run-worker.sh"], env=environ, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert "SQS_QUEUE_URL" in ended.stdout


SLOW_IMPORT = """
import sys, time
from pathlib import Path
import plumbing
print(__name__, Path(sys.argv[0]).name, "imports", flush=True)
# A signal right before a system call interrupts only the next one.
for _ in range(300):
    time.sleep(0.1)
"""


@pytest.fixture
def as_process_1(tmp_path):
    """Starts run-worker.sh with another generic-worker.py as process 1, as a container has it."""
    shutil.copy(WORKER / "run-worker.sh", tmp_path)
    shutil.copytree(WORKER / "plumbing", tmp_path / "plumbing")
    (tmp_path / "generic-worker.py").write_text(SLOW_IMPORT)
    command = ["unshare", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.fail("unshare cannot make a PID namespace, which only root may: run it as root")
    environ = {"PATH": os.environ["PATH"], "WORKER_PYTHON": sys.executable}
    with subprocess.Popen(
        [*command, tmp_path / "run-worker.sh"], env=environ, stdout=subprocess.PIPE, text=True
    ) as started:
        yield started
        started.kill()


@pytest.mark.needs_root
def test_a_process_1_that_is_told_to_stop_while_it_imports_stops(as_process_1):
    """Otherwise the container would continue, take a job, and be killed in the middle of it."""
    assert as_process_1.stdout.readline() == "__main__ generic-worker.py imports\n"
    children = Path(f"/proc/{as_process_1.pid}/task/{as_process_1.pid}/children").read_text()

    os.kill(int(children), signal.SIGTERM)

    assert as_process_1.wait(10) == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_nothing_but_the_standard_library_and_boto3_is_imported(path):
    tree = ast.parse(path.read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(str(node.module).split(".")[0])

    only_for_types = {"mypy_boto3_s3", "mypy_boto3_sqs"}
    allowed = {"boto3", "botocore", "plumbing", *sys.stdlib_module_names, *only_for_types}
    assert imported <= allowed


def test_both_ends_of_the_mount_section_are_there_to_be_removed():
    for name in ("Dockerfile", "run-worker.sh"):
        text = (WORKER / name).read_text()
        assert text.count("# MOUNT S3:") == text.count("# END OF MOUNT S3") == 1
