#!/usr/bin/env python3
"""Transfer engines compared with `aws s3 cp --recursive` and s5cmd; S3 is not the limit.

    python benchmarks/transfer.py [--small 10000] [--large 2] [--repeat 3] [--folder FOLDER]

It needs benchmarks/requirements.txt, and space for twice the large files in FOLDER. Every client is
a process of its own, measured from start to end; they take turns, and the table shows medians. The
exit code is 1 unless small files go up at least twice as fast as with the AWS CLI. `server` is the
CPU of the S3 stub in that time: well below the wall time it is not the limit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "worker")]

from benchmarks import stub_server  # noqa: E402
from benchmarks.aws_stub import BUCKET, made_up_s3  # noqa: E402

SMALL_BYTES = 20_000
LARGE_BYTES = 2_000_000_000
UPLOADED = "uploaded"
REFERENCE, OURS = "aws s3 cp", "plumbing"
LEAST_RATIO = 2.0
REGION = "us-east-1"
THREADS = 16
ENGINE = "--engine"  # NAME upload|download FOLDER PREFIX: one transfer, in a process of its own


@dataclass
class Load:
    """Some files of one size, in both directions."""

    count: int
    size: int

    @property
    def prefix(self) -> str:
        return f"{self.count}x{self.size}"


@dataclass
class Cost:
    """The cost of one transfer: seconds, CPU seconds, MB, and CPU seconds of the server."""

    wall: float
    cpu: float
    memory: float
    server: float


def main() -> int:
    options = _options()
    loads = [Load(options.small, SMALL_BYTES), Load(options.large, options.large_bytes)]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        ratios = [_measure(load, Path(name), options.repeat) for load in loads if load.count]
    if not options.small:
        return 0
    good = ratios[0] >= LEAST_RATIO
    print(f"goal for small uploads: at least {LEAST_RATIO:g}: {'met' if good else 'MISSED'}")
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=10_000, help="number of small files")
    parser.add_argument("--large", type=int, default=2, help="number of large files")
    parser.add_argument("--large-bytes", type=int, default=LARGE_BYTES)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="for the files; default: the system's")
    return parser.parse_args()


def _measure(load: Load, folder: Path, repeat: int) -> float:
    """Measure and print both directions; return the reference's upload time over ours."""
    ratios = {}
    source, target = folder / "source", folder / "target"
    _make_files(source, load)
    for direction in ("upload", "download"):
        costs: dict[str, list[Cost]] = {}
        for _ in range(repeat):
            for name, command in _clients(direction, load, source, target).items():
                costs.setdefault(name, []).append(_run(command, direction, load, target))
        medians = {name: _median(runs) for name, runs in costs.items()}
        ratios[direction] = medians[REFERENCE].wall / medians[OURS].wall
        _print(direction, load, medians)
        print(f"{REFERENCE} takes {ratios[direction]:.2f} times as long as ours\n", flush=True)
    shutil.rmtree(source)
    return ratios["upload"]


def _make_files(folder: Path, load: Load) -> None:
    folder.mkdir()
    block = os.urandom(1 << 20)
    for number in range(load.count):
        with open(folder / f"{number:07d}", "wb") as file:
            for start in range(0, load.size, len(block)):
                file.write(block[: min(len(block), load.size - start)])


def _clients(direction: str, load: Load, source: Path, target: Path) -> dict[str, list[str]]:
    """Return the command of every client."""
    engine = [sys.executable, __file__, ENGINE]
    programs = Path(sys.executable).parent
    aws = [str(programs / "aws"), "s3", "cp", "--recursive", "--only-show-errors"]
    s5cmd = [str(programs / "s5cmd"), "--log", "error", "cp"]
    there = f"s3://{BUCKET}"
    if direction == "upload":
        here, prefix = source, UPLOADED
        aws += [f"{source}/", f"{there}/{UPLOADED}/"]
        s5cmd += [f"{source}/", f"{there}/{UPLOADED}/"]
    else:
        here, prefix = target, load.prefix
        aws += [f"{there}/{prefix}/", f"{target}/"]
        s5cmd += [f"{there}/{prefix}/*", f"{target}/"]
    own = {
        name: [*engine, name, direction, str(here), prefix]
        for name in ENGINES
        if (name, direction) != ("put_object", "download")
    }
    return {**own, REFERENCE: aws, "s5cmd": s5cmd}


def _run(command: list[str], direction: str, load: Load, target: Path) -> Cost:
    """Run a client. Raise SystemExit if it fails or did not transfer everything."""
    shutil.rmtree(target, ignore_errors=True)
    with stub_server.in_processes(made_up_s3) as server:
        began = time.monotonic()
        client = subprocess.Popen(command, env=_environment(server.url))
        _, status, usage = os.wait4(client.pid, 0)
        wall = time.monotonic() - began
        client.returncode = os.waitstatus_to_exitcode(status)
        counts = server.counts()
    if direction == "upload":
        size = counts.received
    else:
        size = sum(path.stat().st_size for path in target.rglob("*"))
    if client.returncode or size < load.count * load.size:
        raise SystemExit(f"failed: {command}: exit {client.returncode}, {size:,} bytes")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, counts.cpu)


def _environment(url: str) -> dict[str, str]:
    """Return the caller's environment without any AWS settings of theirs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_ENDPOINT_URL": url,
        "S3_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Where awscrt is installed botocore signs by it, also for those who did not choose it.
        "BOTO_DISABLE_CRT": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def _median(runs: list[Cost]) -> Cost:
    columns = zip(*(vars(run).values() for run in runs), strict=True)
    return Cost(*(statistics.median(column) for column in columns))


def _print(direction: str, load: Load, costs: dict[str, Cost]) -> None:
    print(f"{direction} of {load.count:,} files of {load.size:,} bytes; load {_load()}")
    print(f"{'':12}  wall s  files/s   MB/s   CPU s  peak MB  server s")
    for name, cost in costs.items():
        per_second = load.count / cost.wall
        print(
            f"{name:12}{cost.wall:8.2f}{per_second:9.1f}{per_second * load.size / 1e6:7.0f}"
            f"{cost.cpu:8.2f}{cost.memory:9.0f}{cost.server:10.2f}"
        )


def _load() -> str:
    return " ".join(f"{number:.1f}" for number in os.getloadavg())


def with_plumbing(direction: str, folder: Path, prefix: str) -> None:
    """Transfer as the worker does (attempt.py and job.py)."""
    from plumbing import aws_clients, download, upload

    s3 = aws_clients.make_clients(aws_clients.make_session(REGION)).s3
    if direction == "upload":
        items = upload.items_of(folder, BUCKET, prefix, {}, print)
        upload.send_all(s3, items, lambda: None)
    else:
        download.fetch_one(s3, BUCKET, f"{prefix}/", folder)


def with_put_object(direction: str, folder: Path, prefix: str) -> None:
    """Upload without quick_put.py: by boto3's put_object in threads."""
    from plumbing import upload

    upload.MANY = sys.maxsize
    with_plumbing(direction, folder, prefix)


def with_s3transfer(direction: str, folder: Path, prefix: str) -> None:
    """Transfer by the library under boto3's upload_file and `aws s3 cp`."""
    import boto3
    from botocore.config import Config
    from s3transfer.manager import TransferConfig, TransferManager

    s3 = boto3.client("s3", region_name=REGION, config=Config(max_pool_connections=THREADS))
    with TransferManager(s3, TransferConfig(max_request_concurrency=THREADS)) as manager:
        _submit_all(manager, s3, direction, folder, prefix)


def with_crt(direction: str, folder: Path, prefix: str) -> None:
    """Transfer by AWS's library in C, through s3transfer's bindings."""
    import boto3
    import botocore.session
    from s3transfer.crt import (
        BotocoreCRTCredentialsWrapper,
        BotocoreCRTRequestSerializer,
        CRTTransferManager,
        create_s3_crt_client,
    )

    session = botocore.session.get_session()
    credentials = BotocoreCRTCredentialsWrapper(session.get_credentials())
    client = create_s3_crt_client(REGION, credentials.to_crt_credentials_provider(), use_ssl=False)
    url = os.environ["AWS_ENDPOINT_URL"]
    serializer = BotocoreCRTRequestSerializer(session, {"region_name": REGION, "endpoint_url": url})
    s3 = boto3.client("s3", region_name=REGION)
    with CRTTransferManager(client, serializer) as manager:
        _submit_all(manager, s3, direction, folder, prefix)


def _submit_all(manager: Any, s3: Any, direction: str, folder: Path, prefix: str) -> None:
    if direction == "upload":
        futures = [
            manager.upload(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
    else:
        folder.mkdir(parents=True)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        keys = [entry["Key"] for page in pages for entry in page["Contents"]]
        futures = [
            manager.download(BUCKET, key, str(folder / key.rpartition("/")[2])) for key in keys
        ]
    for future in futures:
        future.result()


ENGINES = {
    "plumbing": with_plumbing,
    "put_object": with_put_object,
    "s3transfer": with_s3transfer,
    "crt": with_crt,
}

if __name__ == "__main__":
    if sys.argv[1:2] == [ENGINE]:
        name, direction, folder, prefix = sys.argv[2:]
        ENGINES[name](direction, Path(folder), prefix)
    else:
        sys.exit(main())
