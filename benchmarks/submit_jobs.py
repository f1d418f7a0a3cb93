"""The cost of submitJob, compared with one send for each job: CPU, jobs per second, memory.

    python benchmarks/submit_jobs.py [--jobs 10000] [--million 1000000]

SQS and S3 are benchmarks/aws_stub.py in a process of its own, so that only the client is
measured. Each line is a new process. CPU is user and system time of all threads, with all of the
bookkeeping: checking the file, ids, parts, progress. The start of Python and boto3 is shown
separately. "doubled" must be 0.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

SHARED = {
    "pipeline": "projects/screen/analysis.cppipe",
    "input": "projects/screen/images",
    "output": "projects/screen/results",
}


def main() -> None:
    """Run every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000, help="of the first cases")
    parser.add_argument("--million", type=int, default=1_000_000, help="of the last; 0: skip it")
    parser.add_argument("--client", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        print(json.dumps(client(*args.client)))
        return
    one_by_one = min(args.jobs, 1000)
    print(
        f"{'case':34} {'jobs':>9} {'start':>6} {'wall':>8} {'jobs/s':>8} {'CPU/job':>9} "
        f"{'peak RSS':>9} {'doubled':>7}"
    )
    for latency in (0, 0.02):
        added = f", {latency * 1000:.0f} ms added" if latency else ""
        way = f"submitJob{added}"
        ours = case(way, "submit", latency, args.jobs, "json")
        theirs = case(f"one by one{added}", "one-by-one", latency, one_by_one, "json")
        print(
            f"{'  ratio':34} {'':9} {'':6} {'':8} {ours['rate'] / theirs['rate']:7.0f}x "
            f"{theirs['cpu'] / ours['cpu']:8.1f}x"
        )
    if args.million:
        case("submitJob from CSV", "submit", 0, args.million, "csv", and_again=True)


def case(
    label: str, way: str, latency: float, count: int, form: str, and_again: bool = False
) -> dict[str, float]:
    """Print one line of the table, measured in a new process against a new stub.

    `and_again` adds a line for the same command once more, which has nothing to send.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = job_file(Path(folder), count, form)
        stub = subprocess.Popen(
            [sys.executable, REPOSITORY / "benchmarks" / "aws_stub.py", str(latency)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert stub.stdin and stub.stdout
        url = stub.stdout.readline().strip()
        figures = measured(label, way, url, path, count)
        if and_again:
            measured(f"{label}, once more", way, url, path, count)
        stub.stdin.close()
        stub.wait()
        stub.stdout.close()
    return figures


def measured(label: str, way: str, url: str, path: Path, count: int) -> dict[str, float]:
    """Run the client in a process of its own and print its line."""
    command = [sys.executable, __file__, "--client", way, url, str(path), str(count)]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env(url))
    with urllib.request.urlopen(f"{url}/stats") as answer:
        queue = json.load(answer)
    assert queue["jobs"] == count, f"{queue['jobs']} of {count} jobs are in the queue"
    figures: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    print(
        f"{label:34} {count:9,} {figures['start']:5.2f}s {figures['wall']:7.2f}s "
        f"{figures['rate']:8,.0f} {figures['cpu'] * 1e6:6.0f} us {figures['rss']:6.0f} MB "
        f"{queue['messages'] - count:7}",
        flush=True,
    )
    return figures


def env(url: str) -> dict[str, str]:
    """Return an environment with no AWS settings but the stub's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return {
        **kept,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def job_file(folder: Path, count: int, form: str) -> Path:
    """Write a job file of `count` jobs, in a list or in a table next to it."""
    path = folder / "job.json"
    groups = ({"plate": f"P{i // 384}", "well": f"W{i % 384}", "site": i} for i in range(count))
    if form == "json":
        path.write_text(json.dumps({**SHARED, "groups": list(groups)}))
        return path
    with (folder / "table.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["plate", "well", "site"])
        table.writeheader()
        table.writerows(groups)
    path.write_text(json.dumps({**SHARED, "groups": "table.csv"}))
    return path


# A run needs these values; nothing here depends on them.
CONFIG: Any = {
    "APP_NAME": "Benchmark",
    "DOCKERHUB_TAG": "a/b:1",
    "AWS_REGION": "us-east-1",
    "AWS_BUCKET": "bucket",
    "CLUSTER_MACHINES": 1,
    "MACHINE_TYPE": ("m5.xlarge",),
    "DOCKER_CORES": 1,
    "CPU_SHARES": 1024,
    "MEMORY": 1000,
}


def client(way: str, url: str, path: str, count: str) -> dict[str, float]:
    """Submit the jobs: the measured part, in its own process."""
    import boto3

    from control.aws.session import AWS
    from control.config import Config
    from control.model import Run
    from control.records import store
    from control.verbs import submit

    aws = AWS(boto3.Session())
    run = Run(
        app_name="Benchmark",
        run_id="20260101T000000Z",
        bucket="bucket",
        region="us-east-1",
        account="123456789012",
        owner="benchmark",
        config=Config(**CONFIG),
        queue_url=f"{url}/123456789012/BenchmarkQueue",
    )
    assert aws.sqs and store.create(aws.s3, run)
    start = time.process_time()
    wall, cpu = time.perf_counter(), time.process_time()
    if way == "submit":
        state = Path(path).parent / ".runs"
        outcome = submit.submit(aws, run, submit.read_jobs(Path(path)), state)
        assert outcome.sent + outcome.already == int(count)
    else:
        one_by_one(run.queue_url, Path(path))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    jobs = int(count)
    return {"start": start, "wall": wall, "rate": jobs / wall, "cpu": cpu / jobs, "rss": rss}


def one_by_one(queue_url: str, path: Path) -> None:
    """Send one request and print one line for each job, as Distributed-Something does."""
    import boto3

    queue = boto3.resource("sqs").Queue(queue_url)
    content = json.loads(path.read_text())
    for number, group in enumerate(content.pop("groups")):
        body = json.dumps({**content, "group": group})
        queue.send_message(
            MessageBody=body,
            MessageAttributes={"job_id": {"DataType": "String", "StringValue": str(number)}},
        )
        print("Batch sent.", number)


if __name__ == "__main__":
    main()
