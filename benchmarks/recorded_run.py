#!/usr/bin/env python3
"""An S3 that holds a recorded run of any size, for verbs that read runs.

    with recorded_run.serving(Shape(jobs=1_000_000, failed=20_000)) as run:
        ... s3 at run.url, the run's prefix is run.shape.prefix, its bucket BUCKET

    python benchmarks/recorded_run.py [--jobs N] [--failed N] ...   # serves until Ctrl-C

Keys are as in documentation/contract.md, contents as workers write them; both are made on request
(recorded_jobs.py). Listings have the time of each object and a rough size. It accepts and drops
what clients write.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks import recorded_jobs, stub_server  # noqa: E402
from benchmarks.recorded_jobs import APP_NAME, BUCKET, Jobs, Shape  # noqa: E402
from benchmarks.stub_server import Answer, Request, answered, listing, xml_error  # noqa: E402
from control.config import load_config  # noqa: E402
from control.model import FleetEntry, JobCounts, Run, utc  # noqa: E402

OWNER = "arn:aws:iam::123456789012:user/benchmark"
CONFIG = f"""\
APP_NAME = "{APP_NAME}"
DOCKERHUB_TAG = "me/benchmark:1"
AWS_REGION = "us-east-1"
AWS_BUCKET = "{BUCKET}"
ECS_CLUSTER = "{APP_NAME}Cluster"
CLUSTER_MACHINES = {{machines}}
MACHINE_TYPE = ["m5.xlarge"]
DOCKER_CORES = {recorded_jobs.SLOTS_A_MACHINE}
CPU_SHARES = 4096
MEMORY = {recorded_jobs.MEMORY_MB}
"""


@dataclass(frozen=True)
class Served:
    """A recorded run that is being served; `made_seconds` is the time that it took to make."""

    url: str
    shape: Shape
    server: stub_server.Server
    made_seconds: float

    def environment(self) -> dict[str, str]:
        """Return the AWS settings that lead S3, and nothing else, to it."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextlib.contextmanager
def serving(shape: Shape, processes: int = 1) -> Iterator[Served]:
    """Serve the run on loopback during the block."""
    began = time.perf_counter()
    bucket = Bucket(shape)
    made = time.perf_counter() - began
    with stub_server.in_processes(bucket.answer, processes) as server:
        yield Served(server.url, shape, server, made)


def write_project(folder: Path, shape: Shape) -> Path:
    """Write the config.py that the run was set up with; return its path."""
    path = folder / "config.py"
    path.write_text(CONFIG.format(machines=shape.machines), encoding="utf-8")
    return path


def run_of(shape: Shape, folder: Path) -> Run:
    """Return the run.json; `folder` holds the project."""
    config = load_config(write_project(folder, shape))
    began = utc(shape.began + 60)
    entry = FleetEntry(
        fleet_id="sfr-00000000-0000-0000-0000-000000000000",
        template=f"{APP_NAME}-{shape.run_id}-00000000",
        template_data={},
        request={"TargetCapacity": shape.machines},
        target=shape.machines,
        requested=began,
    )
    return Run(
        app_name=APP_NAME,
        run_id=shape.run_id,
        bucket=BUCKET,
        region="us-east-1",
        account="123456789012",
        owner=OWNER,
        config=config,
        queue_url=f"https://sqs.us-east-1.amazonaws.com/123456789012/{APP_NAME}Queue",
        dead_letter_url=f"https://sqs.us-east-1.amazonaws.com/123456789012/{APP_NAME}_DeadMessages",
        cluster=f"{APP_NAME}Cluster",
        service=f"{APP_NAME}Service",
        task_definition=f"arn:aws:ecs:us-east-1:123456789012:task-definition/{APP_NAME}:1",
        log_group=APP_NAME,
        submissions=2 if shape.retried else 1,
        fleets=(entry,),
        ended=utc(shape.ended + 240) if shape.over else "",
        end_reason="every job has ended" if shape.over else "",
        machine_time=_machine_time(shape),
    )


def _machine_time(shape: Shape) -> dict[str, Any]:
    """Let all machines be up from two minutes after setup until the last job's end."""
    begin = shape.began + 120
    step = 60.0
    while shape.ended - begin > 120 * step:
        step *= 2
    whole, rest = divmod(shape.ended - begin, step)
    bins = [shape.machines * step] * int(whole) + [shape.machines * rest] * bool(rest)
    kind = "m5.xlarge us-east-1a"
    series = {"begin": begin, "step": step, "bins": {kind: bins}}
    return {"until": shape.ended, "seconds": {kind: sum(bins)}, **series}


class Entry(NamedTuple):
    """A line of a listing."""

    key: str
    written: float
    size: int


class Bucket:
    """The content of the bucket, and the answers to requests for it."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.jobs = Jobs(shape)
        self._small = dict(_small_objects(shape))

    def answer(self, request: Request) -> Answer:
        """Answer as the bucket would; drop what is written to it."""
        address = urlsplit(request.target)
        query = parse_qs(address.query, keep_blank_values=True)
        key = unquote(address.path).lstrip("/").partition("/")[2]
        if request.method == "GET" and not key:
            return self._list(query), 0
        if request.method not in ("GET", "HEAD"):
            status = 204 if request.method == "DELETE" else 200
            return answered(b"", status=status, headers={"ETag": '"0"'}), 0
        content = self.read(key)
        if content is None:
            missing = xml_error(404, "NoSuchKey")
            return missing if request.method == "GET" else answered(b"", status=404), 0
        headers = {"ETag": '"0"', "Last-Modified": stub_server.DATE}
        if key.endswith(".done.json"):
            headers["x-amz-meta-submission"] = str(json.loads(content)["submission"])
        body = content if request.method == "GET" else b""
        return answered(body, size=len(content), headers=headers), 0

    def read(self, key: str) -> bytes | None:
        """Return the content of an object, None if there is none."""
        if key in self._small:
            return self._small[key]
        folder, _, name = key.removeprefix(self.shape.prefix).partition("/")
        if not key.startswith(self.shape.prefix):
            return None
        if folder == "submitted":
            return self.jobs.part(name) if name in self.jobs.part_names() else None
        job, _, rest = name.partition(".")
        try:
            place = self.jobs.place(int(job, 16))
        except ValueError:
            return None
        if folder not in _FOLDERS or name not in _names(self.jobs, folder, place):
            return None
        return _content(self.jobs, folder, place, rest)

    def _list(self, query: dict[str, list[str]]) -> bytes:
        prefix, delimiter, after, token = (
            query.get(name, [""])[0]
            for name in ("prefix", "delimiter", "start-after", "continuation-token")
        )
        most = int(query.get("max-keys", ["1000"])[0])
        if delimiter:
            return listing(prefix, (), self._folders(prefix))
        start = max(prefix, token, after)
        found = takewhile(lambda e: e.key.startswith(prefix), self._from(start))
        page = list(islice((e for e in found if e.key > max(token, after)), most + 1))
        entries = ((e.key, _iso(e.written), e.size) for e in page[:most])
        return listing(prefix, entries, after=page[most - 1].key if len(page) > most else "")

    def _folders(self, prefix: str) -> list[str]:
        """Return the common prefixes one level below."""
        names = [f"{self.shape.prefix}{folder}/" for folder in (*_FOLDERS, "submitted", "snapshot")]
        return sorted(
            {
                prefix + name[len(prefix) :].split("/")[0] + "/"
                for name in names
                if name.startswith(prefix) and name != prefix
            }
        )

    def _from(self, start: str) -> Iterator[Entry]:
        """Yield every object whose key is not below `start`, in order."""
        run = self.shape.prefix
        for folder in _FOLDERS:
            if start < f"{run}{folder}0":  # "0" comes right after "/"
                yield from self._in_folder(folder, start)
        written = self.shape.began
        parts = {f"{run}submitted/{name}": b"" for name in self.jobs.part_names()}
        for key in sorted({*self._small, *parts}):
            if key >= start:
                yield Entry(key, written, len(self._small.get(key, bytes(2_000))))

    def _in_folder(self, folder: str, start: str) -> Iterator[Entry]:
        head = f"{self.shape.prefix}{folder}/"
        jobs = self.jobs
        first = (
            jobs.place(int(start[len(head) :].partition(".")[0].ljust(16, "0")[:16], 16))
            if start.startswith(head)
            else 0
        )
        size = _SIZES[folder]
        for place in range(first, len(jobs.ids)):
            for name in _FOLDERS[folder](jobs, place):
                key = f"{head}{jobs.ids[place]:016x}.{name}"
                if key >= start:
                    yield Entry(key, jobs.ended(jobs.numbers[place]), size)


_FOLDERS = {
    "attempts": Jobs.attempt_names,
    "records": Jobs.record_names,
}
_SIZES = {"attempts": 3_500, "records": 3_500}


def _names(jobs: Jobs, folder: str, place: int) -> list[str]:
    if place >= len(jobs.ids):
        return []
    return [f"{jobs.ids[place]:016x}.{name}" for name in _FOLDERS[folder](jobs, place)]


def _content(jobs: Jobs, folder: str, place: int, rest: str) -> bytes:
    """Return the content of this job's object whose name ends with `rest`."""
    number, job_id = jobs.numbers[place], jobs.ids[place]
    kind = jobs.kind(number)
    failure = recorded_jobs.failure_of(number, job_id, kind)
    words = rest.split(".")
    if folder == "attempts":
        tried = int(words[0]), int(words[1])
        return jobs.content(number, job_id, "failed", *tried, failure, is_attempt=True)
    if words[1] == "failed":
        receive = recorded_jobs.given_up_at(number, job_id)
        return jobs.content(number, job_id, "failed", 1, receive, failure)
    submission, receive = {"recovered": (1, 2), "retried": (2, 1)}.get(kind, (1, 1))
    return jobs.content(number, job_id, words[0], submission, receive)


def _small_objects(shape: Shape) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        run = run_of(shape, Path(folder))
        config = (Path(folder) / "config.py").read_bytes()
    content = {
        "run.json": run.as_json(),
        "snapshot/config.json": run.config.container_values(),
        "snapshot/fleet.json": dataclasses.asdict(run.fleets[0]),
    }
    if shape.over:
        counts = JobCounts(
            shape.jobs, shape.jobs - shape.failed - shape.skipped, shape.skipped, shape.failed
        )
        content["report.json"] = {
            "app_name": APP_NAME,
            "run_id": shape.run_id,
            "ended": run.ended,
            **dataclasses.asdict(counts),
        }
    for name, value in content.items():
        yield f"{shape.prefix}{name}", json.dumps(value, indent=1).encode()
    yield f"{shape.prefix}snapshot/config.py", config


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def main() -> None:
    """Serve a run until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = ("jobs", "failed", "skipped", "waiting", "retrying", "recovered", "retried")
    for name in kinds:
        parser.add_argument(f"--{name}", type=int, default=1000 if name == "jobs" else 0)
    parser.add_argument("--project", type=Path, help="write the run's config.py into this folder")
    args = parser.parse_args()
    shape = Shape(**{name: getattr(args, name) for name in kinds})
    with serving(shape) as served:
        if args.project:
            write_project(args.project, shape)
        for name, value in served.environment().items():
            print(f"export {name}='{value}'")
        print(f"made in {served.made_seconds:.1f} s; s3://{BUCKET}/{shape.prefix}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(60)


if __name__ == "__main__":
    main()
