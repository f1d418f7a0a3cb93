"""The command line: how verbs take their arguments, and the two lines of an error."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import EndpointConnectionError
from rich.console import Console
from rich.text import Text

from control.aws.session import leads_here
from control.command import PROGRAM, in_project, typed
from control.errors import ExplainedError, Interrupted, UserError, missing_package
from control.explain import aws_errors
from control.text import word_like

FLEET = "files/exampleFleet.json"
JOBS = "files/exampleJob.json"
_CONFIG = "--config"
_DEBUG = "--debug"
run_option = click.option(
    "--run", "run_id", metavar="RUN_ID", default="", help="an earlier run; default: the newest"
)
json_option = click.option("--json", "as_json", is_flag=True, help="see documentation/json.md")
dry_run_option = click.option("--dry-run", is_flag=True, help="only show what would be done")
take_over_option = click.option(
    "--take-over", is_flag=True, help="do it even if the run belongs to someone else"
)


def _common_options() -> list[click.Parameter]:
    """Return the options that a command takes before and after its verb."""
    return [
        click.Option(
            [_CONFIG, "where"],
            type=Path,
            metavar="FILE_OR_FOLDER",
            help="the project; default: config.py here",
        ),
        # Only for --help: run_main removes it before the arguments are parsed.
        click.Option(
            [_DEBUG],
            is_flag=True,
            expose_value=False,
            help="show where in the program an error arose",
        ),
    ]


_CONTEXT = {"help_option_names": ["-h", "--help"]}


class Command(click.Command):
    """A command with --config, which its function receives as `where`, and --debug."""

    default_where = Path()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does. Raise UserError for words that the command does not take."""
        ctx.allow_extra_args = True
        try:
            surplus = super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        if surplus:
            raise _wrong(ctx, f"it does not take '{' '.join(surplus)}'; {_takes(ctx)}")
        before = ctx.parent.params["where"] if ctx.parent else None
        ctx.params["where"] = ctx.params["where"] or before or self.default_where
        return surplus


def command(
    name: str, example: str = "", where: Path = Path(), **options: Any
) -> Callable[[Callable[..., None]], click.Command]:
    """Return the decorator of a function that becomes a command; its docstring is the help.

    `example` is what may be typed after run.py; `where` is the project if --config names none.
    """
    if example:
        options["epilog"] = f"Example: {PROGRAM} {example}"

    def decorate(function: Callable[..., None]) -> click.Command:
        settings = {**_CONTEXT, **options.pop("context_settings", {})}
        made = click.command(name, cls=Command, context_settings=settings, **options)(function)
        made.params += _common_options()
        made.default_where = where
        return made

    return decorate


def one_of(words: Iterable[str]) -> Callable[[str], str]:
    """Return the type of an argument that is one of these words."""
    known = list(words)

    def convert(word: str) -> str:
        if word not in known:
            what = f"'{word}' is not one of {', '.join(known)}"
            raise _wrong(click.get_current_context(), what, word_like(word, known))
        return word

    return convert


def whole_number(word: str) -> int:
    """Convert an argument that is a whole number of 1 or more."""
    if not word.isdecimal() or int(word) < 1:
        raise click.BadParameter(f"{word} is not a whole number of 1 or more")
    return int(word)


class Verbs(click.Group):
    """Verbs by name, each imported when it is typed: `command` of its module."""

    def __init__(self, modules: Mapping[str, str], **options: Any) -> None:
        super().__init__(
            invoke_without_command=True,
            callback=_help_if_alone,
            params=_common_options(),
            context_settings=_CONTEXT,
            options_metavar="",
            subcommand_metavar="VERB ...",
            **options,
        )
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return a verb. Raise UserError if there is none with this name."""
        if cmd_name not in self._modules:
            raise _wrong(ctx, f"there is no verb {cmd_name}", word_like(cmd_name, self._modules))
        verb: click.Command = importlib.import_module(self._modules[cmd_name]).command
        return verb


def _help_if_alone(**_: object) -> None:
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def invoke(command: click.Command, program: str, argv: Sequence[str]) -> int:
    """Parse `argv` and do the command; return the exit code. Raise UserError for wrong usage."""
    try:
        with command.make_context(program, list(argv)) as context:
            command.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        context = error.ctx or click.Context(command, info_name=program)
        raise _explained(error, context) from None
    return 0


def _explained(error: click.UsageError, context: click.Context) -> UserError:
    if not isinstance(error, click.NoSuchOption):
        what = error.format_message().rstrip(".")
        return _wrong(context, f"{what[0].lower()}{what[1:]}")
    options = {option for param in context.command.params for option in param.opts}
    close = word_like(error.option_name, {*options, "--help"})
    where = " before the verb" if isinstance(context.command, Verbs) else f"; {_takes(context)}"
    return _wrong(context, f"there is no option {error.option_name}{where}", close)


def _wrong(context: click.Context, what: str, close: str | None = None) -> UserError:
    path = context.command_path
    fix = f"See: {path} --help"
    return UserError(
        f"{path.removeprefix('python ')}: {what}.", f"Did you mean {close}? {fix}" if close else fix
    )


def _takes(context: click.Context) -> str:
    """Return what may follow, in brackets what is optional: 'it takes JOBFILE [--again]'."""
    words = []
    for param in context.command.params:
        if not isinstance(param, click.Option):
            words += param.get_usage_pieces(context)
        elif not param.hidden and param.opts[0] not in (_CONFIG, _DEBUG):
            words.append(f"[{' '.join(filter(None, (param.opts[0], param.metavar)))}]")
    return f"it takes {' '.join(filter(None, words)) or 'nothing more'}"


def run_main(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    """Run `main` on the arguments, print any error in two lines, and return the exit code.

    0 done, 1 AWS or the run failed, 2 the user's mistake, 130 Ctrl-C. `--debug`, anywhere in the
    command, shows the traceback too; `main` never sees it.
    """
    with in_project(config_option(argv)):
        return _run_main(main, argv)


def _run_main(main: Callable[[Sequence[str]], int | None], argv: Sequence[str]) -> int:
    debug = _DEBUG in argv
    try:
        return main([word for word in argv if word != _DEBUG]) or 0
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
    """Return the two lines for what ended a command; an unforeseen error is called a bug."""
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
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("control"):
        return missing_package(error)
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
    """Return the --config that was typed, if any, as it is typed again."""
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
    """Print the two lines on standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
    for label, style, text in (("Error:", "bold red", what), ("Fix:", "bold", fix)):
        console.print(Text.assemble((label, style), " ", " ".join(text.split())))


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.relpath(frames[-1].filename)}, line {frames[-1].lineno}" if frames else "?"
