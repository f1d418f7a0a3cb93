"""The two lines of every error, and the exit codes."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

import run as command_line
from control import cli, screen
from control import command as commands
from control.errors import ExplainedError, UserError

REPOSITORY = Path(__file__).parents[2]


def raising(error):
    def main(argv):
        raise error

    return main


def denied():
    return ClientError(
        {"Error": {"Code": "AccessDenied", "Message": "no\nway"}}, "SendMessageBatch"
    )


def wrapped():
    """Return an error as boto3's transfers raise it."""
    try:
        try:
            raise denied()
        except ClientError as error:
            raise S3UploadFailedError("Failed to upload") from error
    except S3UploadFailedError as error:
        return error


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (UserError("config.py: X is wrong.", "Fix X."), 2, "X is wrong"),
        (ExplainedError("The fleet failed.", "Look."), 1, "fleet failed"),
        (denied(), 1, "no way"),
        (wrapped(), 1, "no way"),
        (NoCredentialsError(), 2, "credentials"),
        (EndpointConnectionError(endpoint_url="http://nowhere"), 1, "http://nowhere"),
        (PermissionError(13, "Permission denied", "/some/file"), 1, "/some/file: Permission"),
        (KeyError("gone"), 1, "A bug: KeyError: 'gone'"),
        (KeyboardInterrupt(), 130, "Ctrl-C"),
    ],
)
def test_an_error_is_two_lines_on_standard_error_and_an_exit_code(capsys, error, code, word):
    assert cli.run_main(raising(error), []) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    what, fix = printed.err.splitlines()
    assert what.startswith("Error: ") and word in what
    assert fix.startswith("Fix: ") and len(fix) > len("Fix: ")


def test_a_bug_names_the_place_and_asks_for_debug(capsys):
    cli.run_main(raising(KeyError("gone")), [])
    printed = capsys.readouterr().err
    assert "test_cli.py, line" in printed
    assert "--debug" in printed


def test_debug_shows_the_traceback_and_is_kept_from_main(capsys):
    seen = []

    def main(argv):
        seen.extend(argv)
        raise UserError("What.", "Fix.")

    assert cli.run_main(main, ["verb", "--debug", "file"]) == 2
    assert seen == ["verb", "file"]
    assert "Traceback" in capsys.readouterr().err


def test_what_main_returns_is_the_exit_code():
    assert cli.run_main(lambda argv: None, []) == 0
    assert cli.run_main(lambda argv: 1, []) == 1


@cli.command("submitJob", example="submitJob files/exampleJob.json")
@click.argument("file", metavar="FILE")
@click.option("--number", type=cli.whole_number, metavar="NUMBER")
@click.option("--secret", hidden=True)
@click.option("--color", type=cli.one_of(["red", "green"]))
def command(where, file, number, secret, color):
    """Send jobs."""
    print(where, file, number)


@pytest.fixture
def typed(capsys):
    """Type words after the program: (exit code, standard output, lines of standard error)."""
    program = cli.Verbs({"submitJob": __name__, "stop": "no_such_module"}, help="A program.")

    def type_(*words):
        code = cli.run_main(lambda argv: cli.invoke(program, "python run.py", argv), words)
        out, err = capsys.readouterr()
        return code, out, err.splitlines()

    return type_


@pytest.mark.parametrize(
    ("argv", "what", "fix"),
    [
        (["submitjob"], "there is no verb submitjob", "Did you mean submitJob?"),
        (["fly"], "there is no verb fly", "See: python run.py --help"),
        (["submitJob"], "missing argument 'FILE'", "See: python run.py submitJob --help"),
        (["submitJob", "f", "--number", "x"], "'--number': x is not", "submitJob --help"),
        (["submitJob", "f", "--number", "0"], "0 is not a whole number of 1 or more", "--help"),
        (["submitJob", "f", "--number"], "--number", "submitJob --help"),
        (["submitJob", "f", "--numbr", "1"], "no option --numbr", "Did you mean --number?"),
        (["submitJob", "f", "--fast"], "it takes FILE [--number NUMBER] ", "submitJob --help"),
        (["submitJob", "f", "g"], "it does not take 'g'; it takes FILE", "submitJob --help"),
        (["submitJob", "f", "--confg", "x"], "no option --confg", "Did you mean --config?"),
        (["submitJob", "f", "--color", "gren"], "not one of red, green", "Did you mean green?"),
        (["--confg", "x", "submitJob", "f"], "no option --confg", "Did you mean --config?"),
        (["--number", "1", "submitJob"], "no option --number before the verb.", "See: "),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_code_2(typed, argv, what, fix):
    code, out, lines = typed(*argv)
    assert (code, out, len(lines)) == (2, "", 2)
    assert what in lines[0] and fix in lines[1]


@pytest.mark.parametrize(
    ("argv", "where"),
    [
        (["submitJob", "f"], "."),
        (["--config", "a", "submitJob", "f"], "a"),
        (["submitJob", "--config=b", "f"], "b"),
        (["--config", "a", "submitJob", "f", "--config", "b"], "b"),
        (["--debug", "submitJob", "f"], "."),
        (["submitJob", "--debug", "f", "--secret", "x"], "."),
    ],
)
def test_config_and_debug_may_come_before_and_after_the_verb(typed, argv, where):
    assert typed(*argv) == (0, f"{where} f None\n", [])


@pytest.mark.parametrize("help_option", ["-h", "--help"])
def test_help_shows_the_example_and_no_hidden_option(typed, help_option):
    code, out, _ = typed("submitJob", help_option)
    assert code == 0 and "Send jobs." in out and "--debug" in out and "secret" not in out
    assert "Example: python run.py submitJob files/exampleJob.json" in out


def test_the_help_of_all_verbs_shows_each_sentence_whole():
    whole = cli.Verbs(command_line.VERBS, help="").make_context("run.py", []).get_help()
    assert "..." not in whole.partition("Commands:")[2] != ""


def test_a_package_that_is_missing_is_the_users_mistake(typed):
    code, _, lines = typed("stop")
    assert code == 2 and "no_such_module is not installed" in lines[0]


def test_a_reader_that_has_seen_enough_causes_no_complaint():
    script = (
        "import sys; from control import cli\n"
        "def main(argv):\n"
        "    for i in range(100000): print('line', i, flush=True)\n"
        "sys.exit(cli.run_main(main, []))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["status"], "python run.py"),
        (["--config", "my files", "status"], "python run.py --config 'my files'"),
        (["--config=b", "status"], "python run.py --config b"),
        (["status", "--config"], "python run.py"),
        (["--config", "job.json", "status"], "python run.py"),
    ],
)
def test_commands_name_the_config_that_was_typed(argv, typed, capsys):
    def main(_):
        screen.next_command(commands.typed("setup"))
        raise UserError("Wrong.", f"First: {commands.typed('retry', '--unfinished', 'A')}")

    cli.run_main(main, argv)
    said, error = capsys.readouterr()
    assert said == f"Next: {typed} setup\n"
    assert f"Fix: First: {typed} retry --unfinished A\n" in error
    assert commands.typed("setup") == "python run.py setup"


def test_texts_can_name_every_verb():
    assert set(commands.VERBS) == set(command_line.VERBS)


def test_no_sentence_tells_people_to_type_a_verb_without_its_command():
    """The command would be without the project."""
    bare = re.compile(rf"\b(run|type|stop, then) ({'|'.join(commands.VERBS)})\b", re.IGNORECASE)
    found = [
        f"{path.name}:{node.lineno}: {node.value}"
        for path in (REPOSITORY / "control").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if bare.search(node.value)
    ]
    assert found == []
