"""The site of one scenario: its own bucket and queues, and containers as processes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.faults.proxy import Proxy, Rule

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("generic-worker.py")
# What all outages last: short in everyday's tests, as long as in the table of promises in full.
FULL = os.environ.get("FAULTS_FULL") == "1"
FAULT_SECONDS = 120.0 if FULL else 12.0
# What starting a process may take on a busy computer.
BUSY_SECONDS = 60.0
_APP, _RUN = "App", "20260101T000000Z"


class Run(NamedTuple):
    """One time that a job's run_job began."""

    job: str
    worker: int
    process: int


@dataclass
class Aws:
    """AWS on this computer, the test's own clients of it, and the loop that proxies run in."""

    endpoint: str
    environment: dict[str, str]
    s3: Any
    sqs: Any
    loop: asyncio.AbstractEventLoop
    lock: threading.Lock = field(default_factory=threading.Lock)
    sites: int = 0

    def wait_for(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)


@dataclass
class Container:
    """One process of generic-worker.py and the proxy through which it sees AWS."""

    process: subprocess.Popen
    proxy: Proxy
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def workers(self) -> list[int]:
        return [pid for pid in children(self.process.pid) if alive(pid)]

    def fork_servers(self) -> list[int]:
        return [pid for worker in self.workers() for pid in children(worker)]

    def tree(self) -> list[int]:
        """Return the pids of the container and of everything below it, from the top."""
        found = [self.process.pid]
        for pid in found:
            found += children(pid)
        return found

    def kill(self) -> None:
        """Kill all its processes, as if its machine were lost."""
        below = self.tree()
        self.process.kill()
        self.process.wait()
        until(lambda: not any(map(alive, below)), BUSY_SECONDS)

    def stop(self) -> int:
        """Stop it as ECS does; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(BUSY_SECONDS)

    def freeze(self) -> list[int]:
        """Stop all of it, as a machine that is paused; returns the processes."""
        stopped: list[int] = []
        # What was forked during a look is seen by the next; what is stopped forks no more.
        while new := [pid for pid in self.tree() if pid not in stopped]:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            stopped += new
        return stopped

    def thaw(self) -> None:
        for pid in reversed(self.tree()):
            os.kill(pid, signal.SIGCONT)


class Site:
    """One scenario's part of AWS, its jobs, its containers; `close` ends what is left."""

    def __init__(self, aws: Aws, folder: Path, **settings: Any) -> None:
        with aws.lock:
            aws.sites += 1
            number = aws.sites
        self.aws, self.folder = aws, folder
        self.s3, self.sqs = aws.s3, aws.sqs
        folder.mkdir()
        self.bucket = f"faults-{number}"
        self.s3.create_bucket(Bucket=self.bucket)
        visibility = str(settings.get("SQS_MESSAGE_VISIBILITY", 60))
        attributes = {"VisibilityTimeout": visibility}
        queue = self.sqs.create_queue(QueueName=f"Faults{number}", Attributes=attributes)
        dead = self.sqs.create_queue(QueueName=f"FaultsDead{number}")
        self.queue_url, self.dead_url = queue["QueueUrl"], dead["QueueUrl"]
        self.runs_file = folder / "runs.txt"
        self.runs_file.touch()
        self.work_folder = folder / "work"
        self.groups: dict[str, dict[str, Any]] = {}
        self.ids: dict[str, str] = {}
        self.containers: list[Container] = []
        self.untrue: list[str] = []
        self._settings = {
            "SQS_QUEUE_URL": self.queue_url,
            "SQS_DEAD_LETTER_QUEUE": f"FaultsDead{number}",
            "AWS_BUCKET": self.bucket,
            "APP_NAME": _APP,
            "RUN_ID": _RUN,
            "SQS_MESSAGE_VISIBILITY": visibility,
            "RUNS": str(self.runs_file),
            "WORK_FOLDER": str(self.work_folder),
            **{name: str(value) for name, value in settings.items()},
        }

    def send(self, name: str, **group: Any) -> None:
        """Send a job as `run.py submitJob` does."""
        group = {"files": {"a.txt": 100, "b.txt": 1000}, **group, "name": name}
        self.groups[name] = group
        body = json.dumps(
            {"group": group}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        self.ids[name] = hashlib.sha256(body.encode()).hexdigest()[:16]
        attributes = {
            "app": (_APP, "String"),
            "job_id": (self.ids[name], "String"),
            "job_name": (name, "String"),
            "run_id": (_RUN, "String"),
            "submission": ("1", "Number"),
        }
        self.sqs.send_message(
            QueueUrl=self.queue_url,
            MessageBody=body,
            MessageAttributes={
                key: {"StringValue": value, "DataType": kind}
                for key, (value, kind) in attributes.items()
            },
        )

    def start(self, rule: Rule = lambda call: None, **settings: Any) -> Container:
        """Start a container; `rule` says which of its calls to AWS are broken, and how."""
        address = urlsplit(self.aws.endpoint)
        proxy = Proxy((address.hostname, address.port), rule, self._check_done_record)
        self.aws.wait_for(proxy.open())
        output = self.folder / f"container-{len(self.containers)}.txt"
        environ = {
            **self.aws.environment,
            "AWS_ENDPOINT_URL": proxy.url,
            "PYTHONPATH": str(ROOT / "worker"),
            "PYTHONUNBUFFERED": "1",
            **self._settings,
            **{name: str(value) for name, value in settings.items()},
        }
        with open(output, "wb") as file:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT)],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        container = Container(process, proxy, output)
        self.containers.append(container)
        return container

    def names(self, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        with contextlib.closing(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"]) as body:
            return body.read()

    def written(self, what: str, job: str = "") -> list[str]:
        """Return the ends of the keys of records or attempts, of one job or all: "done.json"."""
        start = f"runs/{_APP}/{_RUN}/{what}/{self.ids[job] + '.' if job else ''}"
        return sorted(key.rpartition("/")[2].split(".", 1)[1] for key in self.names(start))

    def record(self, job: str, end: str) -> dict[str, Any]:
        """Return the record of a job by the end of its key: "done", "CAUSE.failed"."""
        return json.loads(self.read(f"runs/{_APP}/{_RUN}/records/{self.ids[job]}.{end}.json"))

    def attempt(self, job: str, receive: int, end: str) -> dict[str, Any]:
        name = f"{self.ids[job]}.1.{receive}.{end}.json"
        return json.loads(self.read(f"runs/{_APP}/{_RUN}/attempts/{name}"))

    def log(self, record: dict[str, Any]) -> str:
        """Return the log of a record or attempt, from where its log_key says it is."""
        content = self.read(record["log_key"])
        if record["log_key"].endswith(".json"):
            content = gzip.decompress(base64.b64decode(json.loads(content)["log"]))
        return content.decode()

    def lacking(self, job: str) -> list[str]:
        """Return the outputs of a job that are missing or wrong on S3."""
        found = []
        for name, size in self.groups[job]["files"].items():
            line = f"{job}/{name}\n".encode()
            try:
                content = self.read(f"out/{job}/{name}")
            except self.s3.exceptions.NoSuchKey:
                content = b""
            if content != (line * (size // len(line) + 1))[:size]:
                found.append(name)
        return found

    def runs(self, job: str = "") -> list[Run]:
        """Return the runs of a job, or of all jobs."""
        rows = [line.split() for line in self.runs_file.read_text().splitlines()]
        found = [Run(name, int(worker), int(process)) for name, worker, process in rows]
        return [run for run in found if not job or run.job == job]

    def story(self, job: str) -> str:
        """Return everything known about a job, to see why it ran as often as it did."""
        lines = [f"{job}: {self.runs(job)}", *self.written("attempts", job)]
        for number, container in enumerate(self.containers):
            said = (line for line in container.text.splitlines() if job in line)
            lines += [f"container {number}: {line}" for line in said]
        return "\n".join(lines)

    def waiting(self) -> tuple[int, int]:
        """Return how many messages are visible, and how many are in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        values = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        return tuple(int(values["Attributes"][name]) for name in names)

    def dead_letters(self) -> Iterator[tuple[str, str]]:
        """Body and reason, "" if it has none, of each message in the dead-letter queue."""
        while messages := self.sqs.receive_message(
            QueueUrl=self.dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                reason = message.get("MessageAttributes", {}).get("reason", {})
                yield message["Body"], reason.get("StringValue", "")

    def is_settled(self) -> bool:
        """Return whether each job has a record and the queue is empty."""
        return len(self.written("records")) >= len(self.groups) and self.waiting() == (0, 0)

    def assert_all_done(self) -> None:
        """Assert that each job has complete outputs and one done record, and left nothing else."""
        for name in self.groups:
            assert self.written("records", name) == ["done.json"], name
            assert self.lacking(name) == [], name
        assert self.waiting() == (0, 0)
        assert self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []) == []

    def left_in_work_folder(self) -> list[str]:
        """Return the folders of jobs in the work folder, of any container."""
        return [str(path) for path in self.work_folder.glob("jobs-*/worker-*/*")]

    def close(self) -> None:
        for container in self.containers:
            if container.process.poll() is None:
                container.thaw()
                container.kill()
            self.aws.wait_for(container.proxy.close())
        shutil.rmtree(self.work_folder, ignore_errors=True)
        assert self.untrue == []

    def _check_done_record(self, key: str, body: bytes) -> None:
        """At the moment at which a done record is written the outputs must be there."""
        name = json.loads(body)["job_name"]
        if name in self.groups and (lacking := self.lacking(name)):
            self.untrue.append(f"{name} was called done without {lacking}")


def until(condition: Callable[[], Any], seconds: float, pause: float = 0.1) -> Any:
    """Return what `condition` gives as soon as that is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"did not come to hold in {seconds:.0f} s"
        time.sleep(pause)
    return value


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process."""
    found = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
