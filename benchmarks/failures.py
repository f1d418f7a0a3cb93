#!/usr/bin/env python3
"""What `failures` and `logs` cost on a recorded run: wall time, CPU, memory, requests.

    python benchmarks/failures.py [--jobs 100000] [--failed 2000]

The S3 is benchmarks/recorded_run.py, in processes of its own, so that only the client is measured.
Each line is a new process, with the start of Python and boto3 in it. `server` is the CPU time of
the S3 for it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks import recorded_run  # noqa: E402
from benchmarks.recorded_jobs import APP_NAME, BUCKET, Shape, name_of  # noqa: E402
from benchmarks.recorded_run import Served  # noqa: E402


def main() -> None:
    """Run every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--failed", type=int, default=2000)
    parser.add_argument("--client", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        client(*args.client)
        return
    shape = Shape(jobs=args.jobs, failed=args.failed, recovered=args.failed, retrying=100)
    print(f"{shape.jobs:,} jobs, {shape.failed:,} given up, {shape.retrying} to be tried again")
    print(f"{'':30}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'requests':>10}{'server s':>10}")
    with recorded_run.serving(shape, processes=2) as served, tempfile.TemporaryDirectory() as name:
        for words in (
            ["failures"],
            ["failures", "json"],
            ["failures", "job-file"],
            ["logs", name_of(shape.jobs // 2)],
            ["logs", "--grep", "traceback"],
        ):
            measured(served, words, Path(name))


def measured(served: Served, words: list[str], folder: Path) -> None:
    """Run the client in a process of its own and print its line."""
    before, used = served.server.counts(), resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    command = [sys.executable, __file__, "--client", str(folder), *map(_quoted, words)]
    with (folder / "out").open("w") as out:
        ended = subprocess.run(
            command,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**kept, **served.environment()},
        )
    if ended.returncode:
        sys.exit(ended.stderr)
    wall = time.perf_counter() - began
    after, using = served.server.counts(), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = using.ru_utime + using.ru_stime - used.ru_utime - used.ru_stime
    peak = int((folder / "peak").read_text()) / 1024
    print(
        f"{' '.join(words):30}{wall:8.1f}{cpu:8.1f}{peak:9.0f}"
        f"{after.requests - before.requests:10,}{after.cpu - before.cpu:10.1f}",
        flush=True,
    )


def _quoted(word: str) -> str:
    """argparse must not take it for an option of this script's own."""
    return word.replace("--", "::")


def client(folder: str, verb: str, *words: str) -> None:
    """What is measured, in its own process."""
    import boto3

    from control.aws.session import AWS
    from control.records import find
    from control.verbs import failures, logs

    aws = AWS(boto3.Session())
    run = find.run(aws.s3, BUCKET, APP_NAME, "")
    if verb == "failures":
        path = Path(folder) / "failed.json" if "job-file" in words else None
        form = "json" if "json" in words else ""
        failures.show(aws.s3, run, run, form=form, out=path)
    elif words[0] == "::grep":
        logs.grep_failed(aws, run, words[1])
    else:
        logs.show(aws, run, words[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (Path(folder) / "peak").write_text(str(peak))


if __name__ == "__main__":
    main()
