"""local: the whole path on this computer, by the very verbs that run it on AWS."""

from __future__ import annotations

import ast
import dataclasses
import math
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control import (
    account,
    failures,
    job_file,
    local_environment,
    monitor,
    report_files,
    screen,
    settings,
    setup,
    setup_aws,
    start_cluster,
    submit,
)
from control.errors import ExplainedError, UserError
from control.local_files import default_input, given_input, prepare_output, put_inputs, take_outputs
from control.observed import Pace
from control.words import several

if TYPE_CHECKING:
    from control.account import AWS
    from control.records import JobCounts
    from control.settings import Config

# The embedded AWS brings machines within a second, and its counts do not lag.
PACE = Pace(poll=1.0, settle=2.0, spare=1.0, register=60, listing=0.3, patience=20)


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
    if not local_environment.leads_here():
        return settings.load(where)
    return adapted(settings.load(where, embedded=True), local_environment.workers())


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
                local_environment.take(running.over(os.environ), running.environment, workers)
                aws = account.connect(config)
                aws.s3.create_bucket(Bucket=config.AWS_BUCKET, **_location(config))
                setup_aws.make_roles(aws, config)
                yield aws
        except embedded_aws.StartError as error:
            raise ExplainedError(error.what, error.fix) from None


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
    given = given_input(inputs) if inputs else default_input(config, file.shared)
    prepare_output(output)
    here = adapted(config, workers)
    began = clock()
    screen.say("Bringing up an AWS on this computer; nothing is charged, its prices are made up.")
    with embedded_aws(here, workers) as aws:
        keys = put_inputs(aws.s3, here.AWS_BUCKET, given)
        the_run = setup.setup(aws, here)
        with tempfile.TemporaryDirectory(prefix="journal-") as state:
            outcome = submit.submit(aws, the_run, job_path, Path(state))
        submit.report(outcome, the_run, job_path)
        fleet_path = settings.find(config, "files/exampleFleet.json")
        the_run = start_cluster.start(aws, here, the_run, fleet_path, yes=True)
        try:
            counts = monitor.watch(aws, the_run, PACE)
        finally:
            take_outputs(aws.s3, here.AWS_BUCKET, output, keys)
        page = report_files.in_folder(aws, config, the_run, output)
        _summary(config, counts, clock() - began, output)
        screen.say(f"Report: {page}")
        logs = str(output / the_run.prefix / "logs")
        failures.raise_for_failed(aws.s3, the_run, counts, logs, "run the same command again.")
    return counts


def serve(config: Config, *, workers: int, inputs: Path | None, output: Path) -> None:
    """Keep the embedded AWS up until Ctrl-C or SIGTERM, and say how other commands reach it."""
    given = given_input(inputs) if inputs else None
    prepare_output(output)
    here = adapted(config, workers)
    with _asked_to_end() as ending, embedded_aws(here, workers) as aws:
        keys = put_inputs(aws.s3, here.AWS_BUCKET, given)
        lines = local_environment.lines()
        with local_environment.file(config.project / submit.STATE_FOLDER, lines) as file:
            screen.say("AWS is up on this computer. In another terminal, in this folder, type:")
            screen.say(f". {file}")
            screen.say("which says:")
            for line in lines:
                screen.say(line)
            screen.next_command("python run.py setup   (there; Ctrl-C here ends everything)")
            ending.wait()
        take_outputs(aws.s3, here.AWS_BUCKET, output, keys)
        screen.say(f"Outputs: {output}/")


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Within the block Ctrl-C and SIGTERM only set this event."""
    event = threading.Event()
    both = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(one, lambda *_: event.set()) for one in both]
    try:
        yield event
    finally:
        for one, handler in zip(both, before, strict=True):
            signal.signal(one, handler)


def _summary(config: Config, counts: JobCounts, seconds: float, output: Path) -> None:
    at_once = config.CLUSTER_MACHINES * config.TASKS_PER_MACHINE * config.DOCKER_CORES
    screen.say(f"{counts.in_words()} in {seconds:.1f} seconds.")
    screen.say(f"Outputs: {output}/")
    screen.say(
        f"On AWS the same would have run on {several(config.CLUSTER_MACHINES, 'spot machine')} "
        f"({' or '.join(config.MACHINE_TYPE)}), {several(config.TASKS_PER_MACHINE, 'container')} "
        f"on each, {several(config.DOCKER_CORES, 'job')} at once in each: "
        f"{several(at_once, 'job')} at a time."
    )
