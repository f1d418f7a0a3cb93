"""Every reason is a sentence and a fix, and what to type next is the first command of the fix."""

from __future__ import annotations

import re

import pytest

from control.command import in_project
from control.errors import ExplainedError, UserError
from control.explain.reason import Reason, classify
from tests.control.explain.tables import IDLE, TABLES, filled

COMMAND = re.compile(r"python run\.py|make -C|aws [a-z]")
EVERY = [
    pytest.param(reason, id=f"{table}: {situation or 'anything else'}")
    for table, reasons in TABLES.items()
    for situation, reason in reasons.items()
]
WHY_IDLE = [reason for reasons in IDLE.values() for reason in reasons.values()]


@pytest.mark.parametrize("reason", EVERY)
def test_the_next_command_is_the_first_of_the_fix(reason):
    explained = filled(reason)
    first = COMMAND.search(explained.fix)
    assert bool(explained.next) == bool(first)
    assert not first or explained.fix[first.start() :].startswith(explained.next)


@pytest.mark.parametrize("reason", EVERY)
def test_what_and_fix_are_sentences(reason):
    explained = filled(reason, value="Words.")
    assert explained.what[0].isupper() and explained.what.rstrip("()").endswith(".")
    assert explained.fix[0].isupper() and not set("{}") & set(explained.what + explained.fix)


def test_whoever_waits_is_given_a_command_too_and_watches_where_waiting_helps():
    assert [reason.what for reason in WHY_IDLE if not filled(reason).next] == []
    waiting = [filled(reason).next for reason in WHY_IDLE if reason.waiting_helps]
    assert {command.split()[2] for command in waiting} == {"status"}
    assert not any(reason.passing and not reason.waiting_helps for reason in WHY_IDLE)


def test_no_fix_names_a_verb_without_its_command():
    """It would be without the project."""
    fixes = [filled(one).fix for reasons in TABLES.values() for one in reasons.values()]
    bare = [re.sub(r"python run\.py( --config \S+)? \w+", "", fix) for fix in fixes]
    assert [fix for fix in bare if re.search(r"\b(setupAWS|startCluster|submitJob)\b", fix)] == []


def test_commands_name_the_project_and_have_their_arguments():
    reason = Reason("{what}.", "First: {retry:--unfinished}; then: {submitJob:{path} --again}")
    with in_project("--config X"):
        explained = reason.fill("lost", what="It is lost", path="a.json")
    assert explained.next == "python run.py --config X retry --unfinished"
    assert explained.fix == (
        f"First: {explained.next}; then: python run.py --config X submitJob a.json --again"
    )
    assert str(explained) == f"It is lost. {explained.fix}"
    assert reason.fill("lost", what="", path="").next == "python run.py retry --unfinished"


def test_a_reason_becomes_the_error_of_its_exit_code():
    for code, kind in ((1, ExplainedError), (2, UserError)):
        error = Reason("What.", "Fix.", exit_code=code).fill("").error()
        assert type(error) is kind and (error.what, error.fix) == ("What.", "Fix.")
        assert error.exit_code == code


def test_of_the_words_of_aws_the_first_that_fits_counts():
    words = {"Pull": "one", "denied": "two"}
    assert classify("access DENIED", words) == "two"
    assert classify("pull access denied", words) == "one"
    assert classify("", words) == ""
