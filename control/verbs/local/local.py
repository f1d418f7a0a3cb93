"""local: the whole path on this computer, against the embedded AWS."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from control import cli, screen
from control.aws.session import connect
from control.command import typed
from control.config import find_in_project, load_config
from control.errors import ExplainedError, Interrupted, UserError
from control.records import outputs, states
from control.records.delivery import STATE_FOLDER
from control.records.job_objects import log_file
from control.reports import failures, files
from control.text import several
from control.user_files import fleet_file, job_file
from control.verbs import (
    monitor,
    setup,
    setup_aws,
    start_cluster,
    submit,
)
from control.verbs.local import environment, last_run, provide_worker
from control.verbs.local.environment import PACE, adapted
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

# How often `--serve` checks whether the worker has been edited.
_LOOK_SECONDS = 1.0
_AGAIN = "Fix what it reports, then run the same command again."


@cli.command("local", example=f"local {cli.JOBS}")
@click.argument("jobs", metavar="[JOBFILE]", required=False)
@click.option(
    "--workers", type=cli.whole_number, metavar="N", help="default: one for each processor"
)
@click.option(
    "--input", "inputs", type=Path, metavar="FOLDER", help="put into the bucket under its own name"
)
@click.option("--output", type=Path, metavar="FOLDER", help="default: local_output")
@click.option(
    "--jobs", "first", type=cli.whole_number, metavar="N", help="only the first N of the file"
)
@click.option("--serve", is_flag=True, help="keep AWS up, to try the verbs one at a time")
@click.option(
    "--container",
    is_flag=True,
    help="as on AWS: build the image of worker/ and run it, with MEMORY and CPU_SHARES",
)
@click.option("--image", default="", metavar="NAME", help="run this image instead")
@click.option("--engine", default="", metavar="NAME", help="docker or podman; default: what works")
def command(
    where: Path,
    jobs: str | None,
    workers: int | None,
    inputs: Path | None,
    output: Path | None,
    first: int | None,
    serve: bool,
    container: bool,
    image: str,
    engine: str,
) -> None:
    """Run all of it on this computer, without an AWS account."""
    config = load_config(where, embedded=True)
    options = Options(
        workers or os.cpu_count() or 1,
        inputs,
        output or Path(os.path.relpath(config.project / "local_output")),
        Containers(engine, image) if container or image or engine else None,
    )
    path = find_in_project(config, jobs) if jobs else None
    if serve:
        keep_serving(config, options, path)
        return
    if path is None:
        raise UserError(
            "`local` was given no job file.",
            f"Name one: {typed('local', cli.JOBS)}",
        )
    try:
        run(config, path, options, first=first)
    except KeyboardInterrupt:
        raise Interrupted(
            "Stopped by Ctrl-C: what ran on this computer was ended.",
            "Run the same command again: it starts from the beginning.",
        ) from None
    screen.next_command("what AWS needs is in documentation/step_0_prep.md")


@dataclass(frozen=True)
class Options:
    """The number of workers, the folders of inputs and results, and a wish for containers."""

    workers: int
    inputs: Path | None
    output: Path
    containers: Containers | None = None


@contextmanager
def _worker(config: Config, wish: Containers | None) -> Iterator[Worker]:
    """Provide what tasks run, within the block: with a wish for containers, an image."""
    with tempfile.TemporaryDirectory(prefix="worker-") as temporary:
        folder = provide_worker.assemble(config, Path(temporary) / "worker")
        if wish is None:
            yield Worker(folder)
            return
        import embedded_aws

        try:
            engine = embedded_aws.find_engine(wish.engine)
        except embedded_aws.NoEngine as error:
            raise UserError(error.what, error.fix) from None
        image = provide_worker.provide_image(engine, config, folder, wish)
        yield Worker(folder, engine.program, image)


@contextmanager
def embedded_aws(config: Config, workers: int, worker: Worker) -> Iterator[AWS]:
    """Start an AWS on this computer with this project's worker; it ends with the block."""
    # All other verbs do without these packages, which take seconds to import.
    import embedded_aws

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
    """Run every job of the file here, or its `first` jobs only.

    Outputs and the logs of failed jobs are written into the folder of results. Raise ExplainedError
    if a job failed for good, after everything was written.
    """
    jobs = submit.read_jobs(job_path, first)
    output = options.output
    shared = jobs.file.shared
    given = given_input(options.inputs) if options.inputs else default_input(config, shared)
    prepare_output(output)
    with ExitStack() as stack:
        worker = stack.enter_context(_worker(config, options.containers))
        here = adapted(config, options.workers, worker.image)
        began = clock()
        screen.say("Starting an AWS on this computer; nothing is charged, its prices are invented.")
        _say_adapted(config, here, options.workers)
        aws = stack.enter_context(embedded_aws(here, options.workers, worker))
        keys = put_inputs(aws.s3, here.AWS_BUCKET, given)
        the_run = setup.setup(aws, here)
        with tempfile.TemporaryDirectory(prefix="lock-") as state:
            submit.report(submit.submit(aws, the_run, jobs, Path(state)), the_run, jobs)
        fleet = fleet_file.read(find_in_project(config, cli.FLEET))
        the_run = start_cluster.start(aws, here, the_run, fleet, yes=True)
        unfinished = None
        try:
            counts = monitor.watch(aws, the_run, PACE)
        except monitor.Unfinished as error:
            unfinished, counts = error, states.count(aws.s3, the_run)
        finally:
            take_outputs(aws.s3, here.AWS_BUCKET, output, keys)
        page = files.write_into(output, aws, the_run)
        places = outputs.folders(aws.s3, the_run)
        _summary(config, counts, clock() - began, output, places)
        screen.say(f"Report: {page}")
        last_run.remember(config, output, counts, page)
        failures.say_why(
            aws.s3, the_run, counts, lambda one: str(output / log_file(one["log_key"]))
        )
        if unfinished:
            # Its own fix is about the queue, which ends with this command.
            raise monitor.Unfinished(f"{unfinished.why}.", _AGAIN)
        failures.raise_for_failed(
            counts,
            f"{_AGAIN} (On AWS, {typed('failures')} shows this, and {typed('retry')} sends them "
            "again.)",
        )
    return counts


def keep_serving(config: Config, options: Options, job_path: Path | None = None) -> None:
    """Keep the embedded AWS up until Ctrl-C or SIGTERM, and say how other commands reach it.

    With a job file its inputs are in the bucket.
    """
    given = given_input(options.inputs) if options.inputs else None
    if job_path and not given:
        given = default_input(config, job_file.read(job_path).shared)
    prepare_output(options.output)
    screen.say("Starting an AWS on this computer; wait for the line to type.")
    with ExitStack() as stack:
        worker = stack.enter_context(_worker(config, options.containers))
        ending = stack.enter_context(_asked_to_end())
        here = adapted(config, options.workers, worker.image)
        aws = stack.enter_context(embedded_aws(here, options.workers, worker))
        keys = put_inputs(aws.s3, here.AWS_BUCKET, given)
        lines = environment.lines()
        with environment.file(config.project / STATE_FOLDER, lines) as file:
            screen.say("AWS is up on this computer; nothing is charged, its prices are invented.")
            _say_adapted(config, here, options.workers)
            if given is None:
                screen.say(
                    f"Its bucket {here.AWS_BUCKET} is empty: --input FOLDER would put one into it, "
                    "or a job file, after `local`, the folder that it names as input_location."
                )
            url = os.environ["AWS_ENDPOINT_URL"]
            screen.say(f"In another terminal, in this folder, type (it leads to {url}):")
            screen.say(f"    . {file}")
            screen.next_command(f"{typed('setup')}   (there; Ctrl-C here ends everything)")
            while not ending.wait(_LOOK_SECONDS):
                if not worker.image and provide_worker.refresh(config, worker.folder):
                    screen.say("worker/ has changed: containers that start from now on run it.")
        take_outputs(aws.s3, here.AWS_BUCKET, options.output, keys)
        last_run.remember(config, options.output)
        screen.say(f"Outputs: {options.output}/")


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM only set this event within the block."""
    event = threading.Event()
    both = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(one, lambda *_: event.set()) for one in both]
    try:
        yield event
    finally:
        for one, handler in zip(both, before, strict=True):
            signal.signal(one, handler)


def _say_adapted(config: Config, here: Config, workers: int) -> None:
    """Say which settings are lower here, so that later numbers are not taken for config.py's."""
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
