#!/usr/bin/env python3
"""The worker's image: seconds to build it, MB that it adds to its base, seconds to its first job.

    python benchmarks/image.py [--base IMAGE] [--turns 5]

The engine and the base image are those of tests/containers: docker or podman, and Debian 12 in the
place of what FROM names, made or loaded before anything is timed. Containers are started by what
`run.py local --container` starts them with, against the embedded AWS. Medians over the turns, but
one build without cache.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import boto3  # noqa: E402

import embedded_aws  # noqa: E402
from embedded_aws.container_runner import ContainerRunner  # noqa: E402
from embedded_aws.task_runner import TaskRun  # noqa: E402
from tests.containers import bases  # noqa: E402
from tests.containers import engine as engines  # noqa: E402
from tests.containers.engine import Engine  # noqa: E402

IMAGE = "localhost/distributed-something-benchmark:image"
BUCKET = "benchmark"
LIMIT_SECONDS = 120.0
MB = 1e6
# What the command of a layer has in it -> what is in the layer; the first that fits.
LAYERS = {
    "useradd": "user, links",
    "s3fs": "s3fs, to mount a bucket",
    "apt-get": "Python",
    "/opt/distributed-something": "the worker's packages",
    "/home/ubuntu": "the worker's own files",
}
# What only the AWS CLI needs, in site-packages.
AWS_CLI = "awscli* docutils* colorama* rsa* pyasn1* *yaml* *YAML*"
MOMENTS = ("the worker is up", "the first job is at work", "SIGTERM in the job to the end")
JOB = """import time
import plumbing

plumbing.main(lambda job: job.name, lambda job: (print("at work"), time.sleep(600)))
"""
SITE_PACKAGES = "/opt/distributed-something/lib/python3*/site-packages"


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="", help="an image that is on this computer")
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    engine = engines.find()
    os.environ.update(engine.environ)
    base = args.base or bases.provide(engine, "bookworm")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ignored = shutil.ignore_patterns("__pycache__")
        worker = shutil.copytree(ROOT / "worker", folder / "worker", ignore=ignored)
        show_builds(engine, worker, base, args.turns)
        show_sizes(engine, base)
        show_starts(engine, worker, base, folder, args.turns)
    engine.run("rmi", "--force", IMAGE)


def show_builds(engine: Engine, worker: Path, base: str, turns: int) -> None:
    """Build it from nothing, again, and after edits of generic-worker.py."""

    def seconds(*options: str) -> float:
        began = time.perf_counter()
        engine.build(worker, IMAGE, base, *options)
        return time.perf_counter() - began

    def edited(turn: int) -> float:
        with open(worker / "generic-worker.py", "a") as file:
            file.write(f"# Edit {turn} of process {os.getpid()}.\n")
        return seconds()

    print(f"{'build':32}{'seconds':>10}")
    print(f"{'without cache':32}{seconds('--no-cache'):10.1f}")
    print(f"{'nothing changed':32}{_median(lambda _: seconds(), turns):10.2f}")
    print(f"{'generic-worker.py edited':32}{_median(edited, turns):10.2f}", flush=True)


def show_sizes(engine: Engine, base: str) -> None:
    """What it has more than its base, unpacked and as it goes to a registry."""
    rows: dict[str, int] = {}
    for size, command in added_layers(engine, base):
        name = next((name for word, name in LAYERS.items() if word in command), "user, links")
        rows[name] = rows.get(name, 0) + size
    packages = rows.pop("the worker's packages")
    cli = _disk_use(engine, AWS_CLI)
    rows |= {"AWS CLI": cli, "boto3 and what it needs": packages - cli}
    print(f"\n{'added to the base':32}{'MB':>10}")
    for name, size in sorted(rows.items(), key=lambda row: -row[1]):
        print(f"{name:32}{size / MB:10.1f}")
    print(f"{'all':32}{(engine.size(IMAGE) - engine.size(base)) / MB:10.1f}")
    compressed = packed(engine, IMAGE) - packed(engine, base)
    print(f"{'all, compressed as it is pulled':32}{compressed / MB:10.1f}")
    print(f"{'the base itself':32}{engine.size(base) / MB:10.1f}", flush=True)


def added_layers(engine: Engine, base: str) -> list[tuple[int, str]]:
    """Bytes and command of each layer above the base."""

    def history(image: str) -> list[tuple[int, str]]:
        if engine.name == "podman":
            rows = json.loads(engine.run("history", "--format", "json", image).stdout)
            return [(row["size"], row["CreatedBy"]) for row in rows]
        words = ("history", "--no-trunc", "--human=false", "--format", "{{json .}}", image)
        rows = [json.loads(line) for line in engine.run(*words).stdout.splitlines()]
        return [(int(row["Size"]), row["CreatedBy"]) for row in rows]

    every = history(IMAGE)
    return every[: len(every) - len(history(base))]


def _disk_use(engine: Engine, names: str) -> int:
    """Bytes of files and folders among the worker's packages."""
    script = f"cd {SITE_PACKAGES} && du -cb {names} | tail -n 1 | cut -f 1"
    return int(engine.run("run", "--rm", "--entrypoint", "sh", IMAGE, "-c", script).stdout)


def packed(engine: Engine, image: str) -> int:
    """Bytes of an image, compressed as for a registry."""
    command = [*engine.command, "save", image]
    pack = zlib.compressobj(6)
    size = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read(1 << 20):
            size += len(pack.compress(chunk))
    return size + len(pack.flush())


class Started:
    """One container, and how long after the order to start it it said what."""

    def __init__(self, runner: ContainerRunner, name: str, values: dict[str, str], folder: Path):
        self._runner, self._name = runner, name
        self._output, self._heard = b"", threading.Condition()
        self._ended = False
        self._began = time.perf_counter()
        container = {"image": IMAGE, "cpu": 1024, "memory": 1000}
        runner.start(
            TaskRun(name, container, values, folder / name, self._hear, self._end, self._end)
        )

    def _hear(self, chunk: bytes) -> None:
        with self._heard:
            self._output += chunk
            self._heard.notify_all()

    def _end(self, *_: object) -> None:
        with self._heard:
            self._ended = True
            self._heard.notify_all()

    def until(self, text: bytes) -> float:
        """Seconds until it has written this."""
        with self._heard:
            done = self._heard.wait_for(lambda: self._ended or text in self._output, LIMIT_SECONDS)
            assert done and text in self._output, self._output.decode()
            return time.perf_counter() - self._began

    def stop(self) -> float:
        """Seconds from SIGTERM until it is gone."""
        ordered = time.perf_counter()
        self._runner.terminate(self._name)
        with self._heard:
            assert self._heard.wait_for(lambda: self._ended, LIMIT_SECONDS), self._output.decode()
        return time.perf_counter() - ordered


def show_starts(engine: Engine, worker: Path, base: str, folder: Path, turns: int) -> None:
    """Start containers, each with a job that waits for it in the queue, and stop them in it."""
    (worker / "generic-worker.py").write_text(JOB)
    engine.build(worker, IMAGE, base)
    tasks = folder / "tasks"
    tasks.mkdir()
    with embedded_aws.running(worker, folder / "aws") as server:
        os.environ.update(server.environment)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        runner = ContainerRunner(embedded_aws.find_engine(engine.name), tasks)
        table = []
        try:
            for turn in range(turns):
                name = f"benchmark{os.getpid()}x{turn}"
                values = {**server.environment, **_with_a_job(name)}
                started = Started(runner, name, values, tasks)
                up, at_work = started.until(b"workers of"), started.until(b"at work")
                table.append((up, at_work, started.stop()))
        finally:
            runner.close()
    print(f"\n{'container ordered, until':32}{'median s':>10}{'longest s':>11}")
    for row, column in zip(MOMENTS, zip(*table, strict=True), strict=True):
        print(f"{row:32}{statistics.median(column):10.2f}{max(column):11.2f}")


def _with_a_job(name: str) -> dict[str, str]:
    """The environment of a container, in whose own queue there is a job."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.create_queue(QueueName=f"{name}-dead")
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"group": {"name": name}}))
    return {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        "SQS_QUEUE_URL": url,
        "SQS_DEAD_LETTER_QUEUE": f"{name}-dead",
        "AWS_BUCKET": BUCKET,
        "APP_NAME": "Benchmark",
        "RUN_ID": "R",
        "SQS_MESSAGE_VISIBILITY": "60",
    }


def _median(measure: Callable[[int], float], turns: int) -> float:
    return statistics.median(measure(turn) for turn in range(turns))


if __name__ == "__main__":
    main()
