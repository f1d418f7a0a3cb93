"""The command line: verbs, their arguments, and the two lines of an error."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import EndpointConnectionError
from rich.console import Console
from rich.text import Text

from control.aws.session import leads_here
from control.command import in_project, typed
from control.errors import ExplainedError, Interrupted, UserError
from control.explain import aws_errors
from control.text import word_like

FLEET = "files/exampleFleet.json"

JOBS = "files/exampleJob.json"

# Adds a verb: its name, what it does, and what is typed after run.py in an example.
_Add = Callable[[str, str, str], argparse.ArgumentParser]


def parser() -> Parser:
    """The parser of the whole command line; `verb` of what it parses names the verb."""
    made = Parser(prog="run.py", description="Run many independent jobs on spot machines of AWS.")
    _config_option(made, Path())
    verbs = made.add_subparsers(dest="verb", metavar="VERB")

    def add(name: str, what: str, example: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = verbs.add_parser(
            name, help=what, description=what, epilog=f"Example: {typed(example)}"
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


_CONFIG = "--config"

_DEBUG = "--debug"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are UserErrors; its subparsers are such parsers too."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)
        # Only for --help: run_main takes it away before the arguments are parsed.
        self.add_argument(
            _DEBUG,
            action="store_true",
            default=argparse.SUPPRESS,
            help="show where in the program an error arose",
        )

    def verbs(self) -> dict[str, Any]:
        """The subparsers of this parser by name."""
        found: dict[str, Any] = {}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                found |= action.choices
        return found

    def options(self) -> set[str]:
        """Every option of this parser and of its subparsers."""
        found = {option for action in self._actions for option in action.option_strings}
        return found.union(*(verb.options() for verb in self.verbs().values()))

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but an option that does not exist is named first of all: argparse
        would take its value for the verb, and complain of that."""
        for word in args or ():
            option = word.split("=")[0]
            if option.startswith("--") and option != "--" and option not in self.options():
                close = word_like(option, self.options())
                raise self._surplus(f"there is no option {option}", args, close)
        parsed, surplus = self.parse_known_args(args, namespace)
        if surplus:
            raise self._surplus(f"it does not take '{' '.join(surplus)}'", args)
        return parsed

    def _surplus(self, what: str, args: Sequence[str], close: str | None = None) -> UserError:
        """The error for a word too many: what its verb takes, and where that is explained."""
        verb = next((word for word in args if word in self.verbs()), "")
        typed = f"{self.prog} {verb}".rstrip()
        takes = f"; it takes {self.verbs()[verb].takes()}" if verb else ""
        fix = f"See: python {typed} --help"
        return UserError(
            f"{typed}: {what}{takes}.", f"Did you mean {close}? {fix}" if close else fix
        )

    def takes(self) -> str:
        """What may follow, in brackets what may be left out: 'JOBFILE [--again] [--dry-run]'."""
        words = []
        for action in self._actions:
            option = action.option_strings[-1] if action.option_strings else ""
            if option in (_DEBUG, _CONFIG, "--help") or action.help == argparse.SUPPRESS:
                continue
            value = "" if action.nargs == 0 else str(action.metavar or action.dest)
            word = f"{option} {value}".strip()
            needed = action.required and action.nargs not in ("?", "*")
            words.append(word if needed else f"[{word}]")
        return " ".join(words) or "nothing more"

    def error(self, message: str) -> NoReturn:
        fix = f"See: python {self.prog} --help"
        choice = re.search(r"invalid choice: '?(.*?)'? \(choose from (.*)\)", message)
        if choice:
            close = word_like(choice[1], re.findall(r"[\w-]+", choice[2]))
            fix = f"Did you mean {close}? {fix}" if close else fix
        raise UserError(f"{self.prog}: {message.rstrip('.')}.", fix)


def run_main(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    """Run `main` on the arguments; the exit code, after any error was printed in two lines.

    0 done, 1 AWS or the run failed, 2 the user's mistake, 130 Ctrl-C. `--debug`, wherever it
    stands, shows the traceback too; `main` never sees it.
    """
    with in_project(config_option(argv)):
        return _run_main(main, argv)


def _run_main(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    debug = _DEBUG in argv
    try:
        return main([word for word in argv if word != _DEBUG]) or 0
    except SystemExit as end:  # argparse, after --help
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; without this Python complains at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        explained = explain(error)
        print_error(explained.what, explained.fix)
        return explained.exit_code


def explain(error: BaseException) -> ExplainedError:
    """The two lines for whatever ended a command; one that nobody foresaw is called a bug."""
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(
            "Stopped by Ctrl-C.",
            "Run the same command again: it continues where this one stopped. Machines that were "
            f"started continue too; to end them: {typed('stop')}",
        )
    if isinstance(error, EndpointConnectionError) and leads_here():
        return ExplainedError(
            "The AWS on this computer has ended, and this terminal still leads to it.",
            f"Start it again ({typed('local', '--serve')}) and read its file again, or open a new "
            "terminal.",
        )
    explained = aws_errors.explain(error) if isinstance(error, Exception) else None
    if explained is None and isinstance(error, OSError) and error.filename is not None:
        explained = ExplainedError(
            f"{error.filename}: {error.strerror}.",
            "Check that it exists, that you may read and write it, and that the disk is not full.",
        )
    return explained or ExplainedError(
        f"A bug: {type(error).__name__}: {error} ({_place(error)}).",
        f"Run the same command with {_DEBUG} and report what it prints.",
    )


def config_option(argv: Sequence[str]) -> str:
    """The --config that was typed, if any, as it is typed again."""
    words = [*argv, ""]
    configs = [words[at + 1] for at, word in enumerate(argv) if word == _CONFIG]
    configs += [word.partition("=")[2] for word in argv if word.startswith(f"{_CONFIG}=")]
    # What is no project at all is what the error is about.
    if not any(configs):
        return ""
    path = Path(configs[-1])
    if path.suffix not in ("", ".py") and not path.is_dir():
        return ""
    return f"{_CONFIG} {shlex.quote(configs[-1])}"


def print_error(what: str, fix: str) -> None:
    """The two lines, on standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    for label, style, text in (("Error:", "bold red", what), ("Fix:", "bold", fix)):
        console.print(Text.assemble((label, style), " ", " ".join(text.split())))


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno}" if frames else "?"
