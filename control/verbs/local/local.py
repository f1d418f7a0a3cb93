"""local: the whole path on this computer, against the embedded AWS."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from control import screen
from control.aws.session import connect, leads_here
from control.command import typed
from control.config import find_in_project, load_config
from control.errors import ExplainedError, UserError
from control.monitoring.facts import Pace
from control.records import outputs, states
from control.records.job_objects import log_file
from control.text import several
from control.user_files import job_file
from control.verbs import failures, monitor, report, setup, setup_aws, start_cluster, submit
from control.verbs.local import environment, last_run, provide_worker
from control.verbs.local.inputs_outputs import (
    default_input,
    given_input,
    prepare_output,
    put_inputs,
    take_outputs,
)
from control.verbs.local.provide_worker import Containers, Worker

if TYPE_CHECKING:
    from control.aws.session import AWS
    from control.config import Config
    from control.model import JobCounts

# The embedded AWS brings machines within a second, and its counts do not lag.
# How often `--serve` looks whether the worker has been edited.
_LOOK_SECONDS = 1.0

_AGAIN = "Mend what it says, then run the same command again."

PACE = Pace(poll=1.0, settle=2.0, spare=1.0, register=60, refuse=20, listing=0.3, patience=20)


@dataclass(frozen=True)
class Options:
    """How many workers this computer runs, the folders of inputs and results, and whether the
    workers are in real containers."""

    workers: int
    inputs: Path | None
    output: Path
    containers: Containers | None = None


def adapted(config: Config, workers: int, image: str = "") -> Config:
    """The config with as many workers in all as this computer is to run.

    They are on at least two machines where there are two, so that what is tried is what AWS does;
    containers of an `image` hold as many as on AWS, since they share its MEMORY.
    """
    machines = min(config.CLUSTER_MACHINES, workers)
    in_each = math.ceil(workers / machines)
    if image:
        in_each = min(config.DOCKER_CORES, workers)
        machines = min(config.CLUSTER_MACHINES, math.ceil(workers / in_each))
    return dataclasses.replace(
        config,
        AWS_PROFILE=None,
        DOCKERHUB_TAG=image or config.DOCKERHUB_TAG,
        CLUSTER_MACHINES=machines,
        TASKS_PER_MACHINE=1,
        DOCKER_CORES=in_each,
        SECONDS_TO_START=0,
        AUTO_MONITOR=False,
        NOTIFY_EMAIL="",
        DOWNLOAD_FILES=True,
        SOURCE_BUCKET=config.AWS_BUCKET,
        WORKSPACE_BUCKET=config.AWS_BUCKET,
        DESTINATION_BUCKET=config.AWS_BUCKET,
    )


def load_project(where: Path) -> Config:
    """The config for a verb; beside a `local --serve` as that AWS needs it."""
    if not leads_here():
        return load_config(where)
    config = load_config(where, embedded=True)
    return adapted(config, environment.workers(), environment.image())


@contextmanager
def _worker(config: Config, wish: Containers | None) -> Iterator[Worker]:
    """What tasks run, for the time of the block: with a wish for containers, an image."""
    with tempfile.TemporaryDirectory(prefix="worker-") as temporary:
        folder = provide_worker.assemble(config, Path(temporary) / "worker")
        if wish is None:
            yield Worker(folder)
            return
        embedded_aws = _embedded_aws()
        try:
            engine = embedded_aws.find_engine(wish.engine)
        except embedded_aws.NoEngine as error:
            raise UserError(error.what, error.fix) from None
        image = provide_worker.provide_image(engine, config, folder, wish)
        yield Worker(folder, engine.program, image)


def _embedded_aws() -> ModuleType:
    try:
        import embedded_aws
    except ImportError as error:
        raise UserError(
            f"`local` needs a package that is not installed ({error.name}).",
            "Run: python -m pip install -r files/requirements.txt",
        ) from None
    return embedded_aws


@contextmanager
def embedded_aws(config: Config, workers: int, worker: Worker) -> Iterator[AWS]:
    """AWS on this computer with this project's worker; everything of it ends with the block."""
    embedded_aws = _embedded_aws()
    with tempfile.TemporaryDirectory(prefix="embedded-aws-") as folder:
        state = Path(folder)
        try:
            server = embedded_aws.running(
                worker_folder=worker.folder, state_folder=state, engine=worker.engine
            )
            with server as running:
                environment.take(
                    running.over(os.environ), running.environment, workers, worker.image
                )
                aws = connect(config)
                aws.s3.create_bucket(Bucket=config.AWS_BUCKET, **_location(config))
                setup_aws.make_roles(aws, config)
                yield aws
        except embedded_aws.StartError as error:
            raise ExplainedError(error.what, error.fix) from None


def _location(config: Config) -> dict[str, Any]:
    if config.AWS_REGION == "us-east-1":
        return {}  # the one region that must not be named (API reference of CreateBucket)
    return {"CreateBucketConfiguration": {"LocationConstraint": config.AWS_REGION}}


def run(
    config: Config,
    job_path: Path,
    options: Options,
    *,
    first: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> JobCounts:
    """Run every job of the file here, or only its `first` so many.

    Outputs and the logs of failed jobs land in the folder of results. Raises ExplainedError if a
    job failed for good, after everything was written.
    """
    file = job_file.read(job_path, first)
    # A mistake in the last group is said before anything comes up.
    job_file.survey(file)
    output = options.output
    given = given_input(options.inputs) if options.inputs else default_input(config, file.shared)
    prepare_output(output)
    with ExitStack() as stack:
        worker = stack.enter_context(_worker(config, options.containers))
        here = adapted(config, options.workers, worker.image)
        began = clock()
        screen.say(
            "Bringing up an AWS on this computer; nothing is charged, its prices are made up."
        )
        _say_adapted(config, here, options.workers)
        aws = stack.enter_context(embedded_aws(here, options.workers, worker))
        keys = put_inputs(aws.s3, here.AWS_BUCKET, given)
        the_run = setup.setup(aws, here)
        with tempfile.TemporaryDirectory(prefix="journal-") as state:
            outcome = submit.submit(aws, the_run, job_path, Path(state), first=first)
        submit.report(outcome, the_run, job_path)
        fleet_path = find_in_project(config, "files/exampleFleet.json")
        the_run = start_cluster.start(aws, here, the_run, fleet_path, yes=True)
        given_up = None
        try:
            counts = monitor.watch(aws, the_run, PACE)
        except monitor.Unfinished as error:
            given_up, counts = error, states.count(aws.s3, the_run)
        finally:
            take_outputs(aws.s3, here.AWS_BUCKET, output, keys)
        page = report.in_folder(aws, the_run, output)
        places = outputs.folders(aws.s3, the_run)
        _summary(config, counts, clock() - began, output, places)
        screen.say(f"Report: {page}")
        last_run.remember(config, output, counts, page)
        failures.say_why(
            aws.s3, the_run, counts, lambda one: str(output / log_file(one["log_key"]))
        )
        if given_up:
            # The queue of which its cure speaks ends with this command.
            raise monitor.Unfinished(f"{given_up.why}.", _AGAIN)
        failures.raise_for_failed(
            counts,
            f"{_AGAIN} (On AWS, {typed('failures')} shows this, and {typed('retry')} sends them "
            "again.)",
        )
    return counts


def serve(
    config: Config,
    options: Options,
    say_next: Callable[[], object],
    job_path: Path | None = None,
) -> None:
    """Keep the embedded AWS up until Ctrl-C or SIGTERM, and say how other commands reach it. With
    a job file its inputs are in the bucket.
    """
    given = given_input(options.inputs) if options.inputs else None
    if job_path and not given:
        given = default_input(config, job_file.read(job_path).shared)
    prepare_output(options.output)
    screen.say("Bringing up an AWS on this computer; wait for the line to type.")
    with ExitStack() as stack:
        worker = stack.enter_context(_worker(config, options.containers))
        ending = stack.enter_context(_asked_to_end())
        here = adapted(config, options.workers, worker.image)
        aws = stack.enter_context(embedded_aws(here, options.workers, worker))
        keys = put_inputs(aws.s3, here.AWS_BUCKET, given)
        lines = environment.lines()
        with environment.file(config.project / submit.STATE_FOLDER, lines) as file:
            screen.say("AWS is up on this computer; nothing is charged, its prices are made up.")
            _say_adapted(config, here, options.workers)
            if given is None:
                screen.say(
                    f"Its bucket {here.AWS_BUCKET} is empty: --input FOLDER would put one into it, "
                    "or a job file, after `local`, the folder that it names as input_location."
                )
            url = os.environ["AWS_ENDPOINT_URL"]
            screen.say(f"In another terminal, in this folder, type (it leads to {url}):")
            screen.say(f"    . {file}")
            say_next()
            while not ending.wait(_LOOK_SECONDS):
                if not worker.image and provide_worker.refresh(config, worker.folder):
                    screen.say("worker/ has changed: containers that start from now on run it.")
        take_outputs(aws.s3, here.AWS_BUCKET, options.output, keys)
        last_run.remember(config, options.output)
        screen.say(f"Outputs: {options.output}/")


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


def _say_adapted(config: Config, here: Config, workers: int) -> None:
    """What this computer has fewer of, so that what is said later is not taken for config.py's."""
    changed = [
        f"{name} {asked} -> {has}"
        for name in ("CLUSTER_MACHINES", "TASKS_PER_MACHINE", "DOCKER_CORES")
        if (asked := getattr(config, name)) != (has := getattr(here, name))
    ]
    if changed:
        screen.say(f"For the {several(workers, 'worker')} of this computer: {', '.join(changed)}.")


def _summary(
    config: Config, counts: JobCounts, seconds: float, output: Path, places: list[str]
) -> None:
    at_once = config.CLUSTER_MACHINES * config.TASKS_PER_MACHINE * config.DOCKER_CORES
    screen.say(f"{counts.in_words()} in {seconds:.1f} seconds.")
    screen.say(outputs.in_words(f"{output}/", places, f"all: ls {output}"))
    screen.say(
        f"On AWS the same would have run on {several(config.CLUSTER_MACHINES, 'spot machine')} "
        f"({' or '.join(config.MACHINE_TYPE)}), {several(config.TASKS_PER_MACHINE, 'container')} "
        f"on each, {several(config.DOCKER_CORES, 'job')} at once in each: "
        f"{several(at_once, 'job')} at a time."
    )
