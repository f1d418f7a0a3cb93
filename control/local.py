"""local: the whole path on this computer, by the very verbs that run it on AWS."""

from __future__ import annotations

import ast
import dataclasses
import math
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control import (
    account,
    failures,
    job_file,
    monitor,
    records,
    screen,
    settings,
    setup,
    setup_aws,
    start_cluster,
    submit,
)
from control.decision import Pace
from control.errors import ExplainedError, UserError
from control.words import several

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.account import AWS
    from control.records import JobCounts
    from control.settings import Config

# The embedded AWS brings machines within a second, and its counts do not lag.
PACE = Pace(poll=1.0, settle=2.0, spare=1.0, register=60, listing=0.3)
WORKERS_VARIABLE = "EMBEDDED_AWS_WORKERS"
_TRANSFERS = 8


def adapted(config: Config, workers: int) -> Config:
    """The config with as many workers in all as this computer is to run, on at least two machines
    where there are two, so that what is tried is what AWS does."""
    machines = min(config.CLUSTER_MACHINES, workers)
    return dataclasses.replace(
        config,
        AWS_PROFILE=None,
        CLUSTER_MACHINES=machines,
        TASKS_PER_MACHINE=1,
        DOCKER_CORES=math.ceil(workers / machines),
        SECONDS_TO_START=0,
        AUTO_MONITOR=False,
        NOTIFY_EMAIL="",
        DOWNLOAD_FILES=True,
        SOURCE_BUCKET=config.AWS_BUCKET,
        WORKSPACE_BUCKET=config.AWS_BUCKET,
        DESTINATION_BUCKET=config.AWS_BUCKET,
    )


def load_config(where: Path) -> Config:
    """The config for a verb; beside a `local --serve` as that AWS needs it."""
    if not account.embedded():
        return settings.load(where)
    config = settings.load(where, embedded=True)
    return adapted(config, int(os.environ.get(WORKERS_VARIABLE, "1")))


@contextmanager
def embedded_aws(config: Config, workers: int) -> Iterator[AWS]:
    """AWS on this computer with this project's worker; everything of it ends with the block."""
    try:
        import embedded_aws
    except ImportError as error:
        raise UserError(
            f"`local` needs a package that is not installed ({error.name}).",
            "Run: python -m pip install -r files/requirements.txt",
        ) from None
    with tempfile.TemporaryDirectory(prefix="embedded-aws-") as folder:
        state = Path(folder)
        try:
            server = embedded_aws.running(
                worker_folder=_worker_folder(config, state / "worker"), state_folder=state
            )
            with server as running:
                ours = {**running.environment, "EMBEDDED_AWS": "1", WORKERS_VARIABLE: str(workers)}
                _replace_environment({**running.over(os.environ), **ours})
                aws = account.connect(config)
                aws.s3.create_bucket(Bucket=config.AWS_BUCKET, **_location(config))
                setup_aws.make_roles(aws, config)
                yield aws
        except embedded_aws.StartError as error:
            raise ExplainedError(error.what, error.fix) from None


def _replace_environment(wanted: dict[str, str]) -> None:
    """Nothing of the user's own AWS settings may lead a client elsewhere."""
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _worker_folder(config: Config, folder: Path) -> Path:
    """The worker as an image would hold it: the template's files, under those of the project."""
    shutil.copytree(settings.CHECKOUT / "worker", folder)
    if (config.project / "worker").is_dir():
        shutil.copytree(config.project / "worker", folder, dirs_exist_ok=True)
    source = settings.find(config, "worker/generic-worker.py")
    try:
        ast.parse(source.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(
            f"{source}, line {error.lineno}: {error.msg}.",
            "Often a colon, bracket or quote is missing on that line or the one before.",
        ) from None
    return folder


def _location(config: Config) -> dict[str, Any]:
    if config.AWS_REGION == "us-east-1":
        return {}  # the one region that must not be named (API reference of CreateBucket)
    return {"CreateBucketConfiguration": {"LocationConstraint": config.AWS_REGION}}


def run(
    config: Config,
    job_path: Path,
    *,
    workers: int,
    inputs: Path | None,
    output: Path,
    clock: Callable[[], float] = time.monotonic,
) -> JobCounts:
    """Run every job of the file here; outputs and the logs of failed jobs land in `output`.

    Raises ExplainedError if a job failed for good, after everything was written.
    """
    file = job_file.read(job_path)
    inputs = inputs or default_input(config, file.shared)
    if inputs is None:
        screen.say("No input folder was found, so the bucket is empty; --input FOLDER names one.")
    here = adapted(config, workers)
    began = clock()
    screen.say("Bringing up an AWS on this computer; nothing is charged, its prices are made up.")
    with embedded_aws(here, workers) as aws:
        given = put_folder(aws.s3, here.AWS_BUCKET, inputs) if inputs else frozenset()
        the_run = setup.setup(aws, here)
        with tempfile.TemporaryDirectory(prefix="journal-") as state:
            outcome = submit.submit(aws, the_run, job_path, Path(state))
        submit.report(outcome, the_run, job_path)
        fleet_path = settings.find(config, "files/exampleFleet.json")
        the_run = start_cluster.start(aws, here, the_run, fleet_path, yes=True)
        counts = monitor.watch(aws, the_run, PACE)
        take_outputs(aws.s3, here.AWS_BUCKET, output, given)
        _summary(config, counts, clock() - began, output)
        logs = str(output / the_run.prefix / "logs")
        failures.raise_for_failed(aws.s3, the_run, counts, logs, "run the same command again.")
    return counts


def serve(config: Config, *, workers: int, inputs: Path | None, output: Path) -> None:
    """Keep the embedded AWS up until Ctrl-C, and print the environment that leads to it."""
    here = adapted(config, workers)
    with embedded_aws(here, workers) as aws:
        given = put_folder(aws.s3, here.AWS_BUCKET, inputs) if inputs else frozenset()
        screen.say("AWS is up on this computer. In another terminal, in this folder, type:")
        screen.say("unset AWS_PROFILE AWS_SESSION_TOKEN")
        for name in sorted(n for n in os.environ if n.startswith(("AWS_", "EMBEDDED_AWS"))):
            screen.say(f"export {name}='{os.environ[name]}'")
        screen.next_command("python run.py setup   (there; Ctrl-C here ends everything)")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        take_outputs(aws.s3, here.AWS_BUCKET, output, given)
        screen.say(f"Outputs: {output}/")


def default_input(config: Config, shared: Any) -> Path | None:
    """The folder of the project that the job file names as its input_location, if there is one."""
    named = shared.get("input_location")
    if not isinstance(named, str) or not named:
        return None
    folder = settings.find(config, named)
    return folder if folder.is_dir() else None


def put_folder(s3: S3Client, bucket: str, folder: Path) -> frozenset[str]:
    """Put a folder into the bucket under its own name, as `cp -r` would; returns the keys."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such input folder.", "Check --input.")
    root = folder.resolve()
    files = [path for path in root.rglob("*") if path.is_file()]
    keys = {path: f"{root.name}/{path.relative_to(root).as_posix()}" for path in files}
    with screen.progress(f"Reading {folder}", len(files)) as advance:

        def put(path: Path) -> None:
            s3.upload_file(str(path), bucket, keys[path])

        _in_parallel(put, files, advance)
    return frozenset(keys.values())


def take_outputs(s3: S3Client, bucket: str, output: Path, inputs: frozenset[str]) -> None:
    """Write what the jobs of all runs made, reports, and logs of failed jobs into a folder."""
    keys = [key for key in records.list_keys(s3, bucket, "") if key not in inputs]
    failed = {_job_of(key) for key in keys if key.endswith(".failed.json") and "/records/" in key}
    wanted = [key for key in keys if _is_wanted(key, failed)]
    root = output.resolve()
    with screen.progress("Taking outputs", len(wanted)) as advance:

        def take(key: str) -> None:
            path = (root / key).resolve()
            if not path.is_relative_to(root):
                raise ExplainedError(
                    f"The output {key} would land outside {output}.",
                    "Remove '..' from output_prefix in worker/generic-worker.py.",
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(path))

        _in_parallel(take, wanted, advance)


def _job_of(key: str) -> str:
    """The id of the job that a record or log belongs to, with its run."""
    run, _, name = key.rsplit("/", 2)
    return f"{run}/{name.split('.')[0]}"


def _is_wanted(key: str, failed: set[str]) -> bool:
    if not key.startswith("runs/"):
        return True
    if "/logs/" in key:
        return _job_of(key) in failed
    return key.endswith("/report.json")


def _in_parallel(
    work: Callable[[Any], None], items: Iterable[Any], advance: screen.Advance
) -> None:
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        for _ in pool.map(work, items):
            advance(1)


def _summary(config: Config, counts: JobCounts, seconds: float, output: Path) -> None:
    at_once = config.CLUSTER_MACHINES * config.TASKS_PER_MACHINE * config.DOCKER_CORES
    screen.say(
        f"{counts.done:,} jobs done, {counts.skipped:,} skipped, {counts.failed:,} failed in "
        f"{seconds:.1f} seconds."
    )
    screen.say(f"Outputs: {output}/")
    screen.say(
        f"On AWS the same would have run on {several(config.CLUSTER_MACHINES, 'spot machine')} "
        f"({' or '.join(config.MACHINE_TYPE)}), {several(config.TASKS_PER_MACHINE, 'container')} "
        f"on each, {several(config.DOCKER_CORES, 'job')} at once in each: "
        f"{several(at_once, 'job')} at a time."
    )
