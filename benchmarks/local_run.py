#!/usr/bin/env python3
"""One-line jobs through `run.py local`, compared with the same command lines run by `xargs -P`.

    python benchmarks/local_run.py [JOBS] [WORKERS]

Each job runs one command line that writes a word into its output and appends it to one file for
all jobs, so that a lost or doubled job shows. The times include start-up, the upload of results,
records and logs, and fetching the outputs. xargs does none of that.
"""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """\
APP_NAME = "Benchmark"
DOCKERHUB_TAG = "me/benchmark:1"
AWS_REGION = "us-east-1"
AWS_BUCKET = "local-bucket"
CLUSTER_MACHINES = 1
MACHINE_TYPE = ["m5.large"]
DOCKER_CORES = 2
CPU_SHARES = 1024
MEMORY = 2000
ALL_LINES = {all_lines!r}
COMMAND = {command!r}
"""
COMMAND = 'printf "%s\\n" "$1" | tee -a "$2" >"$3"'
WORKER = """\
import plumbing


def output_prefix(job):
    return f"out/{job.name}"


def run_job(job):
    words = [job["word"], job.config["ALL_LINES"], job.output_dir / "word.txt"]
    job.run(["sh", "-c", job.config["COMMAND"], "sh", *words])


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
"""


def main() -> int:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        all_lines = folder / "all_lines.txt"
        _write_project(folder, jobs, all_lines)
        began, used = time.monotonic(), _children_cpu()
        early, late = _run_local(folder, workers, jobs, all_lines)
        seconds, cpu = time.monotonic() - began, _children_cpu() - used
        lines = all_lines.read_text().split()
        files = len(list((folder / "output/out").rglob("word.txt")))
        began, used = time.monotonic(), _children_cpu()
        _run_xargs(folder, workers)
        xargs, xargs_cpu = time.monotonic() - began, _children_cpu() - used
    print(f"{jobs:,} jobs, {workers} workers")
    print(f"{'':10}{'seconds':>9}{'jobs/s':>9}{'CPU s':>8}{'CPU ms/job':>12}")
    for label, wall, spent in (("local", seconds, cpu), ("xargs", xargs, xargs_cpu)):
        print(f"{label:10}{wall:9.1f}{jobs / wall:9.0f}{spent:8.1f}{1000 * spent / jobs:12.2f}")
    print(
        f"lost: {jobs - len(set(lines))}, doubled: {len(lines) - len(set(lines))}, files: {files}"
    )
    print("memory in MB, at a tenth of the jobs and at nine tenths:")
    for kind in sorted(late):
        print(f"  {kind:10}{early.get(kind, 0):7.0f}{late[kind]:7.0f}")
    return 0 if len(lines) == len(set(lines)) == files == jobs else 1


def _write_project(folder: Path, jobs: int, all_lines: Path) -> None:
    (folder / "config.py").write_text(CONFIG.format(all_lines=str(all_lines), command=COMMAND))
    (folder / "worker").mkdir()
    (folder / "worker/generic-worker.py").write_text(WORKER)
    (folder / "jobs.json").write_text(json.dumps({"groups": "jobs.csv"}))
    rows = "".join(f"word{number}\n" for number in range(jobs))
    (folder / "jobs.csv").write_text("word\n" + rows)
    all_lines.touch()


def _run_local(
    folder: Path, workers: int, jobs: int, all_lines: Path
) -> tuple[dict[str, float], dict[str, float]]:
    """Run all jobs; return the memory of each kind of process early and late in the run."""
    command = [sys.executable, str(ROOT / "run.py"), "--config", str(folder), "local"]
    command += [str(folder / "jobs.json"), "--output", str(folder / "output")]
    command += ["--workers", str(workers)]
    early: dict[str, float] = {}
    late: dict[str, float] = {}
    process = subprocess.Popen(command, cwd=ROOT)
    while process.poll() is None:
        time.sleep(1)
        done = all_lines.read_bytes().count(b"\n")
        if not early and done >= jobs / 10:
            early = dict(_memory(process.pid))
        if not late and done >= jobs * 9 / 10:
            late = dict(_memory(process.pid))
    return early, late


def _memory(pid: int) -> Iterator[tuple[str, float]]:
    """Yield MB of the control node, of the embedded AWS, and of the largest worker."""
    yield "control", _rss(pid)
    for child in _children(pid):
        yield "server", _rss(child)
        largest = max((_rss(p) for task in _children(child) for p in _below(task)), default=0.0)
        yield "worker", largest


def _below(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _below(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(word) for word in path.read_text().split()]
    return found


def _rss(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def _run_xargs(folder: Path, workers: int) -> None:
    each = f'set -- "$1" all_again.txt "again/$1"; {COMMAND}'
    (folder / "again").mkdir()
    words = (folder / "jobs.csv").read_bytes().split()[1:]
    command = ["xargs", f"-P{workers}", "-n1", "sh", "-c", each, "sh"]
    subprocess.run(command, input=b"\n".join(words), cwd=folder, check=True)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
