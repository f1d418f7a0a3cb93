"""What may be typed after `python run.py`: the verbs, their arguments, an example of each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from control import command

FLEET = "files/exampleFleet.json"
JOBS = "files/exampleJob.json"

# Adds a verb: its name, what it does, and what is typed after run.py in an example.
_Add = Callable[[str, str, str], argparse.ArgumentParser]


def parser() -> command.Parser:
    """The parser of the whole command line; `verb` of what it parses names the verb."""
    made = command.Parser(
        prog="run.py", description="Run many independent jobs on spot machines of AWS."
    )
    _config_option(made, Path())
    verbs = made.add_subparsers(dest="verb", metavar="VERB")

    def add(name: str, what: str, example: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = verbs.add_parser(
            name, help=what, description=what, epilog=f"Example: python run.py {example}"
        )
        # It may stand behind the verb, too, and must not undo one that stands before it.
        _config_option(one, argparse.SUPPRESS)
        return one

    _prepare(add)
    _run(add)
    _ask(add)
    _end(add)
    _here(add)
    return made


def _config_option(of: argparse.ArgumentParser, default: object) -> None:
    of.add_argument(
        "--config",
        type=Path,
        default=default,
        metavar="FILE_OR_FOLDER",
        help="the project; default: config.py here",
    )


def _prepare(add: _Add) -> None:
    one = add(
        "setupAWS", "once an account and project: make roles and the auto-monitor", "setupAWS"
    )
    one.add_argument("--destroy", action="store_true", help="remove what it made")
    one.add_argument("--print", action="store_true", help="show the roles as JSON, make nothing")
    one = add("setup", "make queues, cluster and service of a run", "setup")
    one.add_argument("--take-over", action="store_true", help="also if the run is another's")


def _run(add: _Add) -> None:
    one = add("submitJob", "send the jobs of a job file", f"submitJob {JOBS}")
    one.add_argument("job_file", metavar="JOBFILE")
    one.add_argument("--again", action="store_true", help="also those submitted in this run")
    one.add_argument("--missing", action="store_true", help="not those done in any earlier run")
    one.add_argument("--dry-run", action="store_true", help="show, send nothing")
    one = add("retry", "send jobs again that were given up", "retry")
    one.add_argument("jobs", metavar="JOB", nargs="*", help="name, id or a part; default: all")
    one.add_argument("--reason", metavar="TEXT", default="", help="those that failed for it")
    one.add_argument(
        "--unfinished",
        action="store_true",
        help="also those without a record, if the queue lost them",
    )
    one.add_argument("--dry-run", action="store_true", help="show, send nothing")
    # Of an earlier run it only says what to type instead.
    one.add_argument("--run", metavar="RUN_ID", default="", help=argparse.SUPPRESS)
    one = add("startCluster", "request the machines", f"startCluster {FLEET}")
    one.add_argument("fleet_file", metavar="FLEETFILE", nargs="?", default=FLEET)
    one.add_argument("--yes", action="store_true", help="do not ask before spending money")
    one.add_argument("--add", action="store_true", help="add machines to those there are")
    one.add_argument("--no-check", action="store_true", help="start without checking first")
    one = add("monitor", "watch the run, scale it in, end it", "monitor")
    one.add_argument("monitor_file", metavar="FILE", nargs="?")
    # `monitor FILE True` is how Distributed-Something has it.
    one.add_argument(
        "classic_cheapest",
        metavar="True",
        choices=("True", "False"),
        nargs="?",
        help=argparse.SUPPRESS,
    )
    one.add_argument(
        "--cheapest", action="store_true", help="from 15 minutes on replace no machine that ends"
    )


def _ask(add: _Add) -> None:
    one = add("check", "whether a run would start, before it costs anything", f"check {FLEET}")
    one.add_argument("fleet_file", metavar="FLEETFILE", nargs="?", default=FLEET)
    one.add_argument("--json", action="store_true", help="see documentation/json.md")
    one = add("status", "how far the run is, and why nothing runs", "status --watch")
    one.add_argument("--all", action="store_true", help="every run in the account")
    how = one.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="go on showing it; Ctrl-C ends that")
    how.add_argument("--json", action="store_true", help="see documentation/json.md")
    one = add("failures", "which jobs failed, and why", "failures")
    for form, what in (
        ("all", "every failed job, not only examples"),
        ("json", "for programs, see documentation/json.md"),
        ("csv", "as a table, a row a job"),
    ):
        one.add_argument(
            f"--{form}", action="store_const", dest="form", const=form, default="", help=what
        )
    one.add_argument(
        "--job-file", type=Path, metavar="OUT", help="write a job file of those given up"
    )
    _run_option(one)
    one = add("logs", "what a job wrote", "logs P1-A01")
    one.add_argument("job", metavar="JOB", nargs="?", help="its name, id or a part of them")
    one.add_argument(
        "--attempt",
        metavar="S.N",
        default="",
        help="as `failures` and `logs JOB` name them, such as 1.2; default: the last",
    )
    one.add_argument("--follow", action="store_true", help="go on until the job has ended")
    one.add_argument(
        "--grep", metavar="TEXT", default="", help="lines with it; without JOB of all failed jobs"
    )
    _run_option(one)
    one = add("report", "one HTML page: progress, failures, cost, advice", "report")
    one.add_argument("--output", type=Path, metavar="FILE", help="default: in reports/")
    one.add_argument("--json", action="store_true", help="print the data instead of the page")
    _run_option(one)


def _end(add: _Add) -> None:
    one = add("stop", "end all that costs money; the queue stays", "stop")
    one.add_argument("--dry-run", action="store_true", help="show, end nothing")
    one.add_argument("--take-over", action="store_true", help="also if the run is another's")


def _here(add: _Add) -> None:
    one = add("local", "the whole path on this computer", f"local {JOBS}")
    one.add_argument("job_file", metavar="JOBFILE", nargs="?")
    one.add_argument("--workers", type=_positive, metavar="N", help="default: one a core")
    one.add_argument("--input", metavar="FOLDER", help="put into the bucket under its own name")
    one.add_argument("--output", type=Path, metavar="FOLDER", help="default: local_output")
    one.add_argument("--jobs", type=_positive, metavar="N", help="only the first N of the file")
    one.add_argument("--serve", action="store_true", help="keep AWS up, to try each verb singly")
    containers = one.add_argument_group("in containers, as on AWS")
    containers.add_argument(
        "--container",
        action="store_true",
        help="build the image of worker/ and run it, with MEMORY and CPU_SHARES of config.py",
    )
    containers.add_argument("--image", default="", metavar="NAME", help="run this one instead")
    containers.add_argument(
        "--engine", default="", metavar="NAME", help="docker or podman; default: what works"
    )


def _run_option(of: argparse.ArgumentParser) -> None:
    of.add_argument("--run", metavar="RUN_ID", default="", help="an earlier run; default: the last")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)
