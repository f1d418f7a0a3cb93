#!/usr/bin/env python3
"""The command line: python run.py setup, submitJob, startCluster, monitor - and what helps them."""

from __future__ import annotations

import argparse
import functools
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

from control import cli, screen
from control.aws.session import AWS, caller_identity, connect, leads_here
from control.command import typed
from control.config import Config, find_in_project, load_config
from control.errors import ExplainedError, Interrupted, UserError
from control.model import Run
from control.monitoring.facts import Pace
from control.records import find, monitor_file, resources, states, store
from control.verbs import (
    check,
    failures,
    logs,
    monitor,
    next_command,
    report,
    retry,
    setup,
    setup_aws,
    start_cluster,
    status,
    stop,
    submit,
)
from control.verbs.local import last_run, local, provide_worker


def main(argv: Sequence[str]) -> int | None:
    """Parse the command line and do the verb. Raises what command.run_main explains."""
    parser = cli.parser()
    args = parser.parse_args(argv)
    if args.verb is None:
        parser.print_help()
    else:
        _VERBS[args.verb](args)
    return None


def set_up_account(args: argparse.Namespace) -> None:
    config, aws = _connected(args)
    if args.print:
        screen.say(setup_aws.printed(aws, config))
        return
    for line in setup_aws.destroy(aws, config) if args.destroy else setup_aws.make(aws, config):
        screen.say(line)
    if not args.destroy:
        _next(typed("setup"))


def set_up(args: argparse.Namespace) -> None:
    config = local.load_project(args.config)
    aws = connect(config)
    made = setup.setup(aws, config, take_over=args.take_over)
    _next(next_command.next_verb(aws, made))


def submit_job(args: argparse.Namespace) -> None:
    if args.dry_run:
        if args.missing or args.again:
            raise UserError(
                "--dry-run looks at the job file alone; what --missing and --again send depends "
                "on what is recorded on S3.",
                "Leave one of them out.",
            )
        config = load_config(args.config, embedded=True)
        for line in submit.dry_run(find_in_project(config, args.job_file)):
            screen.say(line)
        return
    config = local.load_project(args.config)
    path = find_in_project(config, args.job_file)
    aws = connect(config)
    run = submit.to_live_run(aws, config, path, again=args.again, missing=args.missing)
    _next(next_command.next_verb(aws, run))


def start_machines(args: argparse.Namespace) -> None:
    config, aws = _connected(args)
    run = store.live(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    fleet_path = find_in_project(config, args.fleet_file)
    if not args.no_check:
        check.before_start(aws, config, fleet_path)
    try:
        run = start_cluster.start(aws, config, run, fleet_path, yes=args.yes, add=args.add)
    except start_cluster.Declined:
        screen.say("No machine was requested; the jobs stay in the queue.")
        return
    path = monitor_file.write(config, run)
    screen.say(f"Written: {os.path.relpath(path)}. Ctrl-C only stops this display.")
    poll = local.PACE.poll if leads_here() else start_cluster.POLL_SECONDS
    if not start_cluster.wait_for_machines(aws, run, poll_seconds=poll):
        start_cluster.say_why_not(aws, run)
    _next(typed("monitor"))


def watch(args: argparse.Namespace) -> None:
    config = local.load_project(args.config)
    where = monitor_file.read(args.monitor_file) if args.monitor_file else None
    aws = connect(config)
    caller_identity(aws.sts)
    run = monitor_file.run(aws.s3, where) if where else monitor_file.newest(aws.s3, config)
    if (args.cheapest or args.classic_cheapest == "True") and not run.ended:
        run = monitor.be_cheapest(aws, run, time.time())
    pace = local.PACE if leads_here() else Pace()
    try:
        counts = monitor.watch(aws, run, pace)
    except monitor.Unfinished:
        report.at_the_end(aws, config, run)
        counts = states.count(aws.s3, run)
        failures.say_why(aws.s3, run, counts, failures.by_verb())
        raise
    monitor.say_end(aws, run, counts)
    report.at_the_end(aws, config, run)
    failures.say_why(aws.s3, run, counts, failures.by_verb())
    fix = f"Fix the cause ({typed('failures')} shows it), then send them again: {typed('retry')}"
    failures.raise_for_failed(counts, fix)


def check_all(args: argparse.Namespace) -> None:
    config = local.load_project(args.config)
    aws = connect(config)
    then = check.check(aws, config, find_in_project(config, args.fleet_file), as_json=args.json)
    if then:
        _next(then)


def show_status(args: argparse.Namespace) -> None:
    if args.all and args.watch:
        raise UserError(
            "`status` shows all runs once: --all and --watch.", "Leave one of them out."
        )
    if args.all:
        config, aws = _connected(args)
        status.show_all(aws, config, as_json=args.json)
        return
    config, aws, run = _with_run(args)
    if args.watch:
        status.watch(aws, run)
        return
    state = status.show(aws, config, run, as_json=args.json)
    if not args.json:
        _next(status.next_step(state))


def make_report(args: argparse.Namespace) -> None:
    config, aws, run = _with_run(args)
    then = report.show(aws, config, run, args.output, as_json=args.json)
    if then:
        _next(then)


def show_failures(args: argparse.Namespace) -> None:
    config, aws, run = _with_run(args)
    newest = store.latest(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    failures.show(
        aws.s3,
        run,
        form=args.form,
        job_file=args.job_file,
        then=functools.partial(next_command.after_failures, run, newest),
        earlier=run.run_id != newest.run_id,
    )


def retry_jobs(args: argparse.Namespace) -> None:
    config, aws, asked = _with_run(args)
    run = store.latest(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    next_command.refuse_earlier(asked, run)
    wanted = retry.Wanted(args.jobs, args.reason, args.unfinished)
    if retry.retry(aws, config, run, wanted, dry_run=args.dry_run) and not args.dry_run:
        _next(f"{typed('startCluster', cli.FLEET)}   (if its machines still run: monitor)")


def show_log(args: argparse.Namespace) -> None:
    if not args.job and not args.grep:
        raise UserError(
            "`logs` was given no job.",
            f"Name one that {typed('failures')} shows; or search the logs of all failed jobs with "
            "--grep TEXT.",
        )
    if not args.job and (args.follow or args.attempt):
        raise UserError(
            "`logs` follows, and counts the attempts of, one job only.",
            "Name a job, or leave --follow and --attempt out.",
        )
    _, aws, run = _with_run(args)
    if args.job:
        logs.show(aws, run, args.job, attempt=args.attempt, follow=args.follow, grep=args.grep)
    else:
        logs.grep_failed(aws, run, args.grep)


def stop_run(args: argparse.Namespace) -> None:
    config = local.load_project(args.config)
    aws = connect(config)
    who = caller_identity(aws.sts)
    run = store.current(aws.s3, config.AWS_BUCKET, config.APP_NAME)
    if run is None:
        raise ExplainedError(
            f"{config.APP_NAME} has not been set up: there is nothing to end.",
            "Check APP_NAME and AWS_BUCKET in config.py.",
        )
    if run.ended and not any(thing.costs for thing in resources.of_run(aws, run)):
        _next(status.after_the_end(stop.say_ended(aws, run)))
        return
    setup.refuse_others(run, who.arn, args.take_over or args.dry_run)
    stop.stop(aws, run, dry_run=args.dry_run)
    counts = stop.say_unfinished(aws, run)
    _next(next_command.after_stop(run, counts))


def run_here(args: argparse.Namespace) -> None:
    config = load_config(args.config, embedded=True)
    workers = args.workers or os.cpu_count() or 1
    output = args.output or Path(os.path.relpath(config.project / "local_output"))
    inputs = Path(args.input) if args.input else None
    wanted = args.container or args.image or args.engine
    containers = provide_worker.Containers(args.engine, args.image) if wanted else None
    options = local.Options(workers, inputs, output, containers)
    if args.serve:
        there = f"{typed('setup')}   (there; Ctrl-C here ends everything)"
        path = find_in_project(config, args.job_file) if args.job_file else None
        local.serve(config, options, lambda: _next(there), path)
        return
    if not args.job_file:
        raise UserError(
            "`local` was given no job file.",
            f"Name one: {typed('local', cli.JOBS)}",
        )
    path = find_in_project(config, args.job_file)
    try:
        local.run(config, path, options, first=args.jobs)
    except KeyboardInterrupt:
        raise Interrupted(
            "Stopped by Ctrl-C: what ran on this computer was ended.",
            "Run the same command again: it starts from the beginning.",
        ) from None
    screen.next_command("what AWS needs is in documentation/step_0_prep.md")


def _connected(args: argparse.Namespace) -> tuple[Config, AWS]:
    """The project's config and clients, after a first call that fails fast."""
    config = local.load_project(args.config)
    aws = connect(config)
    caller_identity(aws.sts)
    return config, aws


def _with_run(args: argparse.Namespace) -> tuple[Config, AWS, Run]:
    """The same with the run that --run names, else the last one."""
    with last_run.explained(args.config):
        config, aws = _connected(args)
        named = getattr(args, "run", "")
        return config, aws, find.run(aws.s3, config.AWS_BUCKET, config.APP_NAME, named)


def _next(words: str) -> None:
    screen.next_command(words)


_VERBS = {
    "setupAWS": set_up_account,
    "setup": set_up,
    "submitJob": submit_job,
    "startCluster": start_machines,
    "monitor": watch,
    "check": check_all,
    "status": show_status,
    "failures": show_failures,
    "retry": retry_jobs,
    "logs": show_log,
    "report": make_report,
    "stop": stop_run,
    "local": run_here,
}

if __name__ == "__main__":
    sys.exit(cli.run_main(main, sys.argv[1:]))
