"""The two lines of every error, and the exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

import run as command_line
from control import cli, command, screen
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
    """As boto3's transfers raise it."""
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
        (UserError("config.py: X is wrong.", "Mend X."), 2, "X is wrong"),
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


def parser():
    parser = cli.Parser(prog="run.py")
    verbs = parser.add_subparsers(dest="verb", required=True)
    submit = verbs.add_parser("submitJob")
    submit.add_argument("file")
    submit.add_argument("--number", type=int, metavar="NUMBER")
    verbs.add_parser("stop")
    return parser


@pytest.mark.parametrize(
    ("argv", "what", "fix"),
    [
        ([], "verb", "python run.py --help"),
        (["submitjob"], "invalid choice", "Did you mean submitJob?"),
        (["fly"], "invalid choice", "python run.py --help"),
        (["submitJob"], "file", "python run.py submitJob --help"),
        (["submitJob", "f", "--number", "x"], "invalid int value: 'x'", "submitJob --help"),
        (["submitJob", "f", "--numbr", "1"], "no option --numbr", "Did you mean --number?"),
        (["submitJob", "f", "--fast"], "it takes file [--number NUMBER].", "submitJob --help"),
        (["submitJob", "f", "g"], "it does not take 'g'; it takes file", "submitJob --help"),
        (["stop", "now"], "it does not take 'now'; it takes nothing more.", "stop --help"),
        # An option of another verb's.
        (["stop", "--number", "1"], "it does not take '--number 1'", "stop --help"),
    ],
)
def test_wrong_usage_is_two_lines_and_exit_code_2(capsys, argv, what, fix):
    assert cli.run_main(lambda words: parser().parse_args(words) and 0, argv) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert what in lines[0] and fix in lines[1]


def test_help_is_exit_code_0_and_mentions_debug(capsys):
    assert cli.run_main(lambda words: parser().parse_args(words) and 0, ["--help"]) == 0
    assert "--debug" in capsys.readouterr().out


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
        screen.next_command(command.typed("setup"))
        raise UserError("Wrong.", f"First: {command.typed('retry', '--unfinished', 'A')}")

    cli.run_main(main, argv)
    said, error = capsys.readouterr()
    assert said == f"Next: {typed} setup\n"
    assert f"Fix: First: {typed} retry --unfinished A\n" in error
    assert command.typed("setup") == "python run.py setup"


@pytest.mark.parametrize("verb", command.VERBS)
def test_every_verb_that_texts_can_name_exists(verb, capsys):
    assert cli.run_main(command_line.main, [verb, "--help"]) == 0
    assert verb in capsys.readouterr().out
