#!/usr/bin/env python3
"""`run.py status` on a recorded run of a million jobs: seconds, CPU, memory, requests, figures.

    python benchmarks/status.py [--jobs N ...] [--processes N]

S3 is the recorded run of recorded_run.py, on loopback; the other services are the embedded AWS.
What status says is compared with what was recorded, job by job state. Beside it the same records
are counted by a plain boto3 paginator, one list after another, as a yardstick.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
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
from benchmarks.recorded_jobs import BUCKET, Shape  # noqa: E402

_YARDSTICK = f"""
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--processes", type=int, default=1, help="of the S3 server")
    args = parser.parse_args()
    print(f"{'jobs':>10} {'who':<14} {'wall s':>7} {'CPU s':>7} {'peak MB':>8} {'requests':>9}")
    for jobs in args.jobs:
        _measure(jobs, args.processes)


def _measure(jobs: int, processes: int) -> None:
    shape = Shape(
        jobs=jobs,
        failed=jobs // 50,
        skipped=jobs // 100,
        waiting=jobs // 20,
        retried=jobs // 200,
        began=time.time() - 11 * 3600,
    )
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "embedded"
        aws = embedded_aws.running(worker_folder=ROOT / "worker", state_folder=state)
        with aws as server, recorded_run.serving(shape, processes) as served:
            recorded_run.write_project(Path(folder), shape)
            environment = {**os.environ, **server.environment, **_to_s3(served)}
            status = [sys.executable, str(ROOT / "run.py"), "--config", folder, "status", "--json"]
            _row(jobs, "status", served, status, environment, shape)
            plain = [sys.executable, "-c", _YARDSTICK, f"{shape.prefix}records/"]
            _row(jobs, "boto3 alone", served, plain, environment, None)


def _to_s3(served: recorded_run.Served) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_S3": served.url, "AWS_DEFAULT_REGION": "us-east-1"}


def _row(
    jobs: int,
    who: str,
    served: recorded_run.Served,
    command: list[str],
    environment: Mapping[str, str],
    shape: Shape | None,
) -> None:
    before = served.server.counts().requests
    measured = run(command, environment)
    requests = served.server.counts().requests - before
    print(
        f"{jobs:>10,} {who:<14} {measured.seconds:>7.2f} {measured.cpu:>7.2f} "
        f"{measured.peak_mb:>8.0f} {requests:>9,}",
        flush=True,
    )
    if shape is not None:
        said = json.loads(measured.out)["jobs"]
        expected = {
            "submitted": shape.jobs,
            "done": shape.jobs - shape.failed - shape.skipped - shape.waiting - shape.retrying,
            "skipped": shape.skipped,
            "failed": shape.failed,
        }
        found = {name: said[name] for name in expected}
        assert found == expected, f"status says {found}, recorded are {expected}"


def run(command: list[str], environment: Mapping[str, str]) -> Measured:
    """Run a command to its end. Its peak memory is the kernel's, of it alone."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, env=dict(environment), stdout=out)
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
        seconds = time.perf_counter() - began
        out.seek(0)
        text = out.read()
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}: {text}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, _mb(usage), text)


def _mb(usage: resource.struct_rusage) -> float:
    # ru_maxrss is in KiB on Linux, in bytes on macOS (getrusage(2)).
    return usage.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)


if __name__ == "__main__":
    main()
