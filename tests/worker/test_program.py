"""Commands in a log: what a shell would accept, in one line of bounded length."""

from __future__ import annotations

import subprocess

import pytest

from plumbing import job_log, program


@pytest.mark.parametrize(
    "words",
    [
        ["plain", "--flag", "7"],
        ["a b", "", "it's", "$HOME", "*", "é", "\\"],
        ["two\nlines", "tab\there", "it's\n\\n", "\x1b[31mred", "\x7f", "end\n"],
    ],
    ids=["plain", "quoted", "control characters"],
)
def test_a_shell_takes_it_for_the_same_words_and_it_is_one_line(words):
    line = program.shown(words)

    assert line.isprintable()
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True
    ).stdout
    assert printed.decode().split("\0")[:-1] == words


@pytest.mark.parametrize("number", [500, 1_000_000])
def test_of_very_many_arguments_the_first_and_the_last_are_shown(number):
    line = program.shown(["join", *[f"in/{n}.tif" for n in range(number)], "--out", "a b"])

    assert len(line) < 1000
    assert line.startswith("join in/0.tif in/1.tif ") and line.endswith(" --out 'a b'")
    left_out = int(line.split("... (")[1].split(" more")[0].replace(",", ""))
    assert line.count(".tif") + left_out == number


def test_of_a_huge_argument_its_beginning_and_its_end_are_shown():
    line = program.shown(["sh", "-c", "begin" + "x" * 100_000 + "end"])

    assert len(line) < 600
    assert line.startswith("sh -c begin") and line.endswith("end")


@pytest.mark.parametrize("word", ["'" * 500, "\U0001f52c" * 500, "\x01" * 500])
def test_however_long_its_words_are_the_program_is_shown_and_a_line_is_not_too_long(word):
    line = program.shown([word, *[word] * 20, "last"])

    assert line.startswith(program._quoted(word)[:100]) and line.endswith("last")
    assert len(line.encode()) < job_log.LONGEST_OWN - len(job_log.MARK)
