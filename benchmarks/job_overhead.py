#!/usr/bin/env python3
"""The overhead of the worker for a job that does nothing, from receive to delete, in parts.

    python benchmarks/job_overhead.py [JOBS] [REPEAT]

One worker runs the jobs one after another, against the embedded AWS. Each job writes one word into
a file, which the worker uploads. The CPU is that of the worker, its fork server and the jobs'
processes; the embedded AWS's is shown separately. Medians of the repeats. The first jobs of a
worker, which open its connections, do not count. The CPU of `import boto3` in a new process shows
how fast the machine is.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "worker")]

WARM_UP = 20
QUEUE, BUCKET = "Benchmark", "benchmark"
MOST_CPU_MS, MOST_WALL_MS = 25, 100
# On the machine of the goal, with Python 3.11.7 and boto3 1.44.5.
IMPORT_MS = 236
WORKER = "worker"


class Costs:
    """Wall time and own CPU of named parts; a part inside another counts for the inner one only."""

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}
        self._inner: list[list[float]] = []

    def part(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def measured(*arguments: Any, **named: Any) -> Any:
            before = now()
            self._inner.append([0.0, 0.0])
            try:
                return function(*arguments, **named)
            finally:
                spent = [b - a for a, b in zip(before, now(), strict=True)]
                inner = self._inner.pop()
                own = self.sums.setdefault(name, [0.0, 0.0])
                for i, seconds in enumerate(spent):
                    own[i] += seconds - inner[i]
                    if self._inner:
                        self._inner[-1][i] += seconds

        return measured


def now() -> list[float]:
    return [time.perf_counter(), time.process_time()]


def cpu_of(pid: int) -> tuple[float, float]:
    """Return CPU seconds of a process, and of the children that it waited for (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (
        int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:15]
    )
    return user + system, children_user + children_system


def output_prefix(job: Any) -> str:
    return f"out/{job.name}"


def run_job(job: Any) -> None:
    (job.output_dir / "word.txt").write_text("word")


def be_worker(jobs: int) -> None:
    """Do the jobs as a worker does them, and print their cost."""
    from plumbing import attempt, job_process, machine, records, upload
    from plumbing import worker as loop
    from plumbing.aws_clients import make_session
    from plumbing.fork_server import ForkServer
    from plumbing.job_log import JobLog
    from plumbing.lease import Lease
    from plumbing.outcome import Outcome
    from plumbing.settings import read_settings
    from plumbing.shared_state import NOT_OFFERED, SharedState
    from plumbing.stop_flag import StopFlag
    from plumbing.worker import Crew, Worker

    settings = read_settings(os.environ)
    crew = Crew(
        settings,
        make_session(settings.region),
        settings.work_folder,
        machine.Identity("benchmark"),
        SharedState(1),
        output_prefix,
        run_job,
    )
    stop = StopFlag()
    worker = Worker(crew, 0, stop)
    # No ECS agent protects it.
    worker.state.protection = NOT_OFFERED
    costs = Costs()
    for holder, attribute, name in (
        (worker.clients.receiver, "receive_message", "ReceiveMessage"),
        (loop, "parse", "message read"),
        (records, "find_done", "HeadObject: done record"),
        (machine, "unfit", "disk and memory of the machine"),
        (attempt, "JobLog", "log made"),
        (ForkServer, "fork", "job's process ordered"),
        (Lease, "keep", "thread of the lease started"),
        (job_process, "watch", "the job's process until its end"),
        (upload, "items_of", "outputs found"),
        (upload, "send_all", "PutObject: output"),
        (JobLog, "packed", "log packed"),
        (records, "write_done", "PutObject: done record and log"),
        (worker.settler, "delete", "DeleteMessage"),
        (Lease, "close", "lease closed"),
        (attempt, "remove", "folder removed"),
    ):
        setattr(holder, attribute, costs.part(name, getattr(holder, attribute)))
    done: list[list[float]] = []
    server = int(os.environ["SERVER_PID"])
    attend = loop.attend

    def counted(worker: Worker, raw: Mapping[str, Any], asked: float) -> Outcome | None:
        outcome = attend(worker, raw, asked)
        done.append([*now(), *cpu_of(worker.fork_server.pid), sum(cpu_of(server))])
        if len(done) == WARM_UP:
            costs.sums.clear()
        if len(done) == WARM_UP + jobs:
            stop.set("all are done")
        return outcome

    loop.attend = counted
    # As the container does before it forks.
    gc.collect()
    gc.freeze()
    loop.work(worker)
    total = [(b - a) / jobs for a, b in zip(done[WARM_UP - 1], done[-1], strict=True)]
    parts = {name: [spent / jobs for spent in sums] for name, sums in costs.sums.items()}
    json.dump({"total": total, "parts": parts}, sys.stderr)


def measure(jobs: int) -> dict[str, Any]:
    """Start an AWS, queue the jobs, and let a worker do them."""
    import boto3

    import embedded_aws

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with embedded_aws.running(ROOT / "worker", folder / "aws") as server:
            environment = server.over(os.environ)
            os.environ.update(server.environment)
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            sqs = boto3.client("sqs")
            url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
            for number in range(WARM_UP + jobs):
                body = json.dumps({"group": {"number": number}})
                sqs.send_message(QueueUrl=url, MessageBody=body)
            settings = {
                "SQS_QUEUE_URL": url,
                "AWS_BUCKET": BUCKET,
                "APP_NAME": "Benchmark",
                "RUN_ID": "20260101T000000Z",
                "WORK_FOLDER": str(folder),
                "SERVER_PID": str(server.pid),
            }
            answer = subprocess.run(
                [sys.executable, __file__, WORKER, str(jobs)],
                env={**environment, **settings},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=True,
            )
    costs: dict[str, Any] = json.loads(answer.stderr)
    return costs


def import_cpu() -> float:
    """Return the milliseconds of CPU that a new process needs for `import boto3`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import boto3"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> int:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    repeat = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    imports = statistics.median(import_cpu() for _ in range(5))
    runs = [measure(jobs) for _ in range(repeat)]
    wall, own, forks, forked, server = (
        1000 * statistics.median(run["total"][i] for run in runs) for i in range(5)
    )
    load = " ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{jobs} jobs by one worker, median of {repeat} runs; load {load}")
    print(f"{'ms a job':34}{'wall':>8}{'CPU':>8}")
    rest = [wall, own]
    for name in runs[0]["parts"]:
        part = [1000 * statistics.median(run["parts"][name][i] for run in runs) for i in range(2)]
        rest = [left - spent for left, spent in zip(rest, part, strict=True)]
        print(f"{name:34}{part[0]:8.2f}{part[1]:8.2f}")
    cpu = own + forks + forked
    print(f"{'everything else':34}{rest[0]:8.2f}{rest[1]:8.2f}")
    print(f"{'the fork server':34}{'':8}{forks:8.2f}")
    print(f"{'the process of the job':34}{'':8}{forked:8.2f}")
    print(f"{'all':34}{wall:8.2f}{cpu:8.2f}")
    print(f"the embedded AWS: {server:.1f} ms of CPU")
    print(
        f"import boto3 takes {imports:.0f} ms of CPU here, a job {cpu / imports:.1%} "
        f"of it; goal, where it takes {IMPORT_MS} ms: {MOST_CPU_MS / IMPORT_MS:.1%}"
    )
    good = cpu <= MOST_CPU_MS and wall <= MOST_WALL_MS
    print(f"goal: at most {MOST_CPU_MS} and {MOST_WALL_MS} ms: {'met' if good else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        be_worker(int(sys.argv[2]))
    else:
        sys.exit(main())
