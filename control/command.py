"""What every command line has in common: usage errors, the two lines of an error, exit codes."""

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

from control import local_environment, reasons, screen, suggestions
from control.errors import ExplainedError, Interrupted, UserError

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
                close = suggestions.word_like(option, self.options())
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
            close = suggestions.word_like(choice[1], re.findall(r"[\w-]+", choice[2]))
            fix = f"Did you mean {close}? {fix}" if close else fix
        raise UserError(f"{self.prog}: {message.rstrip('.')}.", fix)


def run_main(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    """Run `main` on the arguments; the exit code, after any error was printed in two lines.

    0 done, 1 AWS or the run failed, 2 the user's mistake, 130 Ctrl-C. `--debug`, wherever it
    stands, shows the traceback too; `main` never sees it.
    """
    with screen.for_project(config_option(argv)):
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
            "Run the same command again: it goes on where this one stopped. Machines that were "
            "started go on too; to end them: python run.py stop",
        )
    if isinstance(error, EndpointConnectionError) and local_environment.leads_here():
        return ExplainedError(
            "The AWS on this computer has ended, and this terminal still leads to it.",
            "Start it again (python run.py local --serve) and read its file again, or go on in a "
            "new terminal.",
        )
    explained = reasons.explain(error) if isinstance(error, Exception) else None
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
    # A cure that is about --config has its own.
    fix = fix if _CONFIG in fix else screen.named(fix)
    for label, style, text in (("Error:", "bold red", what), ("Fix:", "bold", fix)):
        console.print(Text.assemble((label, style), " ", " ".join(text.split())))


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno}" if frames else "?"
