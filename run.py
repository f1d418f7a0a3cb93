#!/usr/bin/env python3
"""The command line: python run.py setup, submitJob, startCluster, monitor - and what helps them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

try:
    import boto3  # noqa: F401
    import rich  # noqa: F401
except ImportError as missing:
    sys.stderr.write(
        f"Error: the package {missing.name} is not installed in this Python.\n"
        "Fix: Type `. .venv/bin/activate` if you used make, else: python -m pip install -r "
        "files/requirements.txt\n"
    )
    sys.exit(2)

from control import (
    account,
    command,
    failures,
    leftovers,
    local,
    local_environment,
    monitor,
    monitor_file,
    observation,
    records,
    screen,
    settings,
    setup,
    setup_aws,
    start_cluster,
    stop,
    submit,
    waiting,
)
from control.errors import ExplainedError, Interrupted, UserError
from control.observed import Pace

_FLEET = "files/exampleFleet.json"
_JOBS = "files/exampleJob.json"


def main(argv: Sequence[str]) -> int | None:
    """Parse the command line and do the verb. Raises what command.run_main explains."""
    args = _parser().parse_args(argv)
    if args.verb is None:
        _parser().print_help()
        return None
    args.do(args)
    return None


def set_up_account(args: argparse.Namespace) -> None:
    config = local.load_config(args.config)
    aws = account.connect(config)
    account.identity(aws.sts)
    if args.print:
        screen.say(setup_aws.printed(aws, config))
        return
    for line in setup_aws.destroy(aws, config) if args.destroy else setup_aws.make(aws, config):
        screen.say(line)
    if not args.destroy:
        _next(args, "setup")


def set_up(args: argparse.Namespace) -> None:
    config = local.load_config(args.config)
    setup.setup(account.connect(config), config, take_over=args.take_over)
    _next(args, f"submitJob {_JOBS}")


def submit_job(args: argparse.Namespace) -> None:
    if args.dry_run:
        config = settings.load(args.config, embedded=True)
        for line in submit.dry_run(settings.find(config, args.job_file)):
            screen.say(line)
        return
    config = local.load_config(args.config)
    path = settings.find(config, args.job_file)
    aws = account.connect(config)
    submit.to_live_run(aws, config, path, again=args.again, missing=args.missing)
    _next(args, f"startCluster {_FLEET}")


def start_machines(args: argparse.Namespace) -> None:
    config = local.load_config(args.config)
    aws = account.connect(config)
    account.identity(aws.sts)
    run = records.live(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    fleet_path = settings.find(config, args.fleet_file)
    try:
        run = start_cluster.start(aws, config, run, fleet_path, yes=args.yes, add=args.add)
    except start_cluster.Declined:
        screen.say("No machine was requested; the jobs stay in the queue.")
        return
    path = monitor_file.write(config, run)
    screen.say(f"Written: {os.path.relpath(path)}. Ctrl-C only stops this display.")
    poll = local.PACE.poll if local_environment.leads_here() else waiting.POLL_SECONDS
    if not waiting.wait_for_machines(aws, run, poll_seconds=poll):
        waiting.say_why_not(aws, run)
    _next(args, "monitor")


def watch(args: argparse.Namespace) -> None:
    config = local.load_config(args.config)
    where = monitor_file.read(args.monitor_file or monitor_file.path_of(config))
    aws = account.connect(config)
    account.identity(aws.sts)
    run = _load(aws, where)
    pace = local.PACE if local_environment.leads_here() else Pace()
    counts = monitor.watch(aws, run, pace)
    screen.say(f"The run has ended, and its machines with it: {counts.in_words()}.")
    screen.say(
        f"Outputs: s3://{run.settings['DESTINATION_BUCKET']}/ (where output_prefix of "
        "worker/generic-worker.py puts them)"
    )
    screen.say(f"Records and logs: s3://{run.bucket}/{run.prefix}")
    logs = f"s3://{run.bucket}/{run.prefix}logs/"
    again = "setup, submitJob JOBFILE --missing and startCluster run those jobs again."
    failures.raise_for_failed(aws.s3, run, counts, logs, again)


def show_status(args: argparse.Namespace) -> None:
    config = local.load_config(args.config)
    aws = account.connect(config)
    account.identity(aws.sts)
    run = records.latest(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    if run.ended:
        _say_ended(args, aws, run)
        return
    setup.say_changes(run, config)
    screen.say(monitor.in_words(observation.observe(aws, run, time.time())))


def stop_run(args: argparse.Namespace) -> None:
    config = local.load_config(args.config)
    aws = account.connect(config)
    who = account.identity(aws.sts)
    run = records.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    if run is None:
        raise ExplainedError(
            f"{config.APP_NAME} has not been set up: there is nothing to end.",
            "Check APP_NAME and AWS_BUCKET in config.py.",
        )
    if run.ended and not any(thing.costs for thing in leftovers.of_run(aws, run)):
        _say_ended(args, aws, run)
        return
    setup.refuse_others(run, who.arn, args.take_over or args.dry_run)
    stop.stop(aws, run, dry_run=args.dry_run)
    if stop.say_unfinished(aws, run):
        _next(args, f"startCluster {_FLEET}   (to go on)")
    else:
        _next(args, "monitor   (removes the queue too), or submitJob")


def run_here(args: argparse.Namespace) -> None:
    config = settings.load(args.config, embedded=True)
    workers = args.workers or os.cpu_count() or 1
    output = args.output or Path(os.path.relpath(config.project / "local_output"))
    inputs = Path(args.input) if args.input else None
    if args.serve:
        local.serve(config, workers=workers, inputs=inputs, output=output)
        return
    if not args.job_file:
        raise UserError("`local` was given no job file.", f"Name one: python run.py local {_JOBS}")
    path = settings.find(config, args.job_file)
    try:
        local.run(config, path, workers=workers, inputs=inputs, output=output)
    except KeyboardInterrupt:
        raise Interrupted(
            "Stopped by Ctrl-C: what ran on this computer was ended.",
            "Run the same command again: it starts from the beginning.",
        ) from None
    screen.next_command("what AWS needs is in documentation/step_0_prep.md")


def _say_ended(args: argparse.Namespace, aws: account.AWS, run: records.Run) -> None:
    counts = records.count(aws.s3, run)
    screen.say(
        f"Run {run.run_id} of {run.app_name} has ended, and its machines with it: "
        f"{counts.in_words()}."
    )
    _next(args, "setup   (begins a new run)")


def _load(aws: account.AWS, where: tuple[str, str, str]) -> records.Run:
    """The run of the monitor file, unless a newer one waits for its machines."""
    bucket, app_name, run_id = where
    newest = records.current(aws.s3, bucket, app_name)
    if newest is None or newest.run_id != run_id and not newest.ended:
        what = f"run {newest.run_id}" if newest else "a run"
        raise ExplainedError(
            f"No machines have been started for {what} of {app_name}.",
            f"Start them: python run.py startCluster {_FLEET}",
        )
    return records.load(aws.s3, *where)


def _next(args: argparse.Namespace, words: str) -> None:
    """The next command, for the same project."""
    where = "" if args.config == Path() else f" --config {args.config}"
    screen.next_command(f"python run.py{where} {words}")


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog="run.py", description="Run many independent jobs on spot machines of AWS."
    )

    def option(of: argparse.ArgumentParser, default: object) -> None:
        of.add_argument(
            *("--config",),
            type=Path,
            default=default,
            metavar="FILE_OR_FOLDER",
            help="the project; default: config.py here",
        )

    option(parser, default=Path())
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")

    def verb(name: str, do: object, what: str, example: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = verbs.add_parser(
            name, help=what, description=what, epilog=f"Example: python run.py {example}"
        )
        made.set_defaults(do=do)
        option(made, default=argparse.SUPPRESS)
        return made

    what = "once an account and project: make roles and the auto-monitor"
    one = verb("setupAWS", set_up_account, what, "setupAWS")
    one.add_argument("--destroy", action="store_true", help="remove what it made")
    one.add_argument("--print", action="store_true", help="show the roles as JSON, make nothing")
    one = verb("setup", set_up, "make queues, cluster and service of a run", "setup")
    one.add_argument("--take-over", action="store_true", help="also if the run is another's")
    one = verb("submitJob", submit_job, "send the jobs of a job file", f"submitJob {_JOBS}")
    one.add_argument("job_file", metavar="JOBFILE")
    one.add_argument("--again", action="store_true", help="also those submitted in this run")
    one.add_argument("--missing", action="store_true", help="not those done in any earlier run")
    one.add_argument("--dry-run", action="store_true", help="show, send nothing")
    one = verb("startCluster", start_machines, "request the machines", f"startCluster {_FLEET}")
    one.add_argument("fleet_file", metavar="FLEETFILE", nargs="?", default=_FLEET)
    one.add_argument("--yes", action="store_true", help="do not ask before spending money")
    one.add_argument("--add", action="store_true", help="add machines to those there are")
    one = verb("monitor", watch, "watch the run, scale it in, end it", "monitor")
    one.add_argument("monitor_file", metavar="FILE", nargs="?")
    verb("status", show_status, "how far the run is", "status")
    one = verb("stop", stop_run, "end all that costs money; the queue stays", "stop")
    one.add_argument("--dry-run", action="store_true", help="show, end nothing")
    one.add_argument("--take-over", action="store_true", help="also if the run is another's")
    one = verb("local", run_here, "the whole path on this computer", f"local {_JOBS}")
    one.add_argument("job_file", metavar="JOBFILE", nargs="?")
    one.add_argument("--workers", type=_positive, metavar="N", help="default: one a core")
    one.add_argument("--input", metavar="FOLDER", help="put into the bucket under its own name")
    one.add_argument("--output", type=Path, metavar="FOLDER", help="default: local_output")
    one.add_argument("--serve", action="store_true", help="keep AWS up, to try each verb singly")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(command.run_main(main, sys.argv[1:]))
