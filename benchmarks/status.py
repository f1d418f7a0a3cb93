#!/usr/bin/env python3
"""Verbs that read a recorded run, up to a million jobs: seconds, CPU, memory, requests.

    python benchmarks/status.py [--jobs N ...] [--others N] [--processes N]

Each line is a new process, with the start of Python and boto3. S3 is the recorded run of
recorded_run.py, on loopback; the other services are the embedded AWS. The figures of `status` are
compared with the recorded ones. For comparison a plain boto3 paginator counts the same records, one
listing after another. `failures`, `logs` and `report` run once, on --others jobs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import embedded_aws  # noqa: E402
from benchmarks import recorded_run  # noqa: E402
from benchmarks.recorded_jobs import BUCKET, Shape, name_of  # noqa: E402

_PAGINATOR = f"""
import boto3, sys
s3, counts = boto3.client("s3"), {{}}
pages = s3.get_paginator("list_objects_v2").paginate(Bucket="{BUCKET}", Prefix=sys.argv[1])
for page in pages:
    for entry in page.get("Contents", []):
        state = entry["Key"].split(".")[-2]
        counts[state] = counts.get(state, 0) + 1
print(counts)
"""


class Measured(NamedTuple):
    """A process that has ended: seconds, CPU seconds, peak memory in MB, what it printed."""

    seconds: float
    cpu: float
    peak_mb: float
    out: str


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--others", type=int, default=100_000, help="jobs for the other verbs")
    parser.add_argument("--processes", type=int, default=1, help="of the S3 server")
    args = parser.parse_args()
    print(
        f"{'jobs':>10} {'what':<24} {'wall s':>7} {'CPU s':>7} {'peak MB':>8} {'requests':>9}"
        f" {'server s':>9}"
    )
    for jobs in args.jobs:
        _measure_status(jobs, args.processes)
    if args.others:
        _measure_others(args.others, args.processes)


def _measure_status(jobs: int, processes: int) -> None:
    """Measure `status` on a run in progress, and the paginator."""
    shape = Shape(
        jobs=jobs,
        failed=jobs // 50,
        skipped=jobs // 100,
        waiting=jobs // 20,
        retried=jobs // 200,
        began=time.time() - 11 * 3600,
    )
    with Site(shape, processes) as site:
        status = json.loads(site.measure("status", "--json"))["jobs"]
        site.row("boto3 alone", [sys.executable, "-c", _PAGINATOR, f"{shape.prefix}records/"])
    expected = {
        "submitted": jobs,
        "done": jobs - shape.failed - shape.skipped - shape.waiting - shape.retrying,
        "skipped": shape.skipped,
        "failed": shape.failed,
    }
    found = {name: status[name] for name in expected}
    assert found == expected, f"status reports {found}, recorded are {expected}"


def _measure_others(jobs: int, processes: int) -> None:
    """Measure the verbs that read failures, logs and records."""
    shape = Shape(jobs=jobs, failed=jobs // 50, recovered=jobs // 50, retrying=jobs // 1000)
    with Site(shape, processes) as site:
        site.measure("failures")
        site.measure("failures", "--json")
        site.measure("failures", "--job-file", str(site.folder / "failed.json"))
        site.measure("logs", name_of(jobs // 2))
        site.measure("logs", "--grep", "traceback")
    shape = Shape(jobs=jobs, failed=jobs // 50, skipped=jobs // 300, recovered=jobs // 100)
    with Site(shape, processes) as site:
        site.measure("report")
        (page,) = site.folder.glob("reports/*.html")
        print(f"{'':>10} the page has {page.stat().st_size / 1e6:.2f} MB")


class Site:
    """A recorded run, its project folder, and what leads run.py to them."""

    def __init__(self, shape: Shape, processes: int) -> None:
        self.shape, self._stack = shape, contextlib.ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        aws = embedded_aws.running(ROOT / "worker", self.folder / "embedded")
        server = self._stack.enter_context(aws)
        self._run = self._stack.enter_context(recorded_run.serving(shape, processes))
        recorded_run.write_project(self.folder, shape)
        self._environment = {
            **os.environ,
            **server.environment,
            "AWS_ENDPOINT_URL_S3": self._run.url,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measure(self, *words: str) -> str:
        """Run a verb and print its line; return what it printed."""
        command = [sys.executable, str(ROOT / "run.py"), "--config", str(self.folder), *words]
        shown = " ".join(word for word in words if "/" not in word)
        return self.row(shown, command)

    def row(self, what: str, command: list[str]) -> str:
        """Run a command and print its line; return what it printed."""
        before = self._run.server.counts()
        measured = run(command, self._environment, self.folder)
        after = self._run.server.counts()
        print(
            f"{self.shape.jobs:>10,} {what:<24} {measured.seconds:>7.2f} {measured.cpu:>7.2f} "
            f"{measured.peak_mb:>8.0f} {after.requests - before.requests:>9,}"
            f" {after.cpu - before.cpu:>9.2f}",
            flush=True,
        )
        return measured.out


def run(command: list[str], environment: Mapping[str, str], folder: Path) -> Measured:
    """Run a command to its end. Its peak memory is the kernel's figure for it alone."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=err, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        if process.returncode:
            sys.exit(f"{command} ended with {process.returncode}: {err.read()}")
        text = out.read()
    # ru_maxrss is in KiB on Linux, in bytes on macOS (getrusage(2)).
    peak = usage.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peak, text)


if __name__ == "__main__":
    main()
