from __future__ import annotations

import pytest

from plumbing import message, outcome
from plumbing.outcome import Outcome, Plan, decide

FAILED = Outcome(outcome.FAILED, "exit 1")


@pytest.mark.parametrize(
    ("ended", "counted", "plan"),
    [
        (Outcome(outcome.DONE), 0, Plan(record="done", delete=True)),
        (Outcome(outcome.SKIPPED), 0, Plan(record="skipped", delete=True)),
        (Outcome(outcome.REPEATED), 0, Plan(delete=True)),
        (Outcome(outcome.REFUSED), 0, Plan(dead_letter=True, delete=True)),
        (Outcome(outcome.LOST), 0, Plan()),
        (Outcome(outcome.INTERRUPTED), 0, Plan(attempt="interrupted", visible_in=0)),
        (Outcome(outcome.INTERRUPTED), 2, Plan(attempt="interrupted", visible_in=0)),
        (FAILED, 0, Plan(attempt="failed", visible_in=10)),
        (FAILED, 1, Plan(attempt="failed", visible_in=30)),
        (FAILED, 2, Plan("failed", "failed", dead_letter=True, delete=True)),
        (
            Outcome(outcome.FAILED, "no job", final=True),
            0,
            Plan("failed", "failed", dead_letter=True, delete=True),
        ),
        (
            Outcome(outcome.EXHAUSTED, "ended silently", "killed"),
            3,
            Plan(None, "failed", dead_letter=True, delete=True),
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Outcome) else "",
)
def test_what_follows_from_an_outcome(ended, counted, plan):
    assert decide(ended, counted, allowed=3) == plan


@pytest.mark.parametrize(
    ("attempt", "draw", "seconds"), [(1, 1, 10), (1, 0, 8), (4, 1, 270), (9, 1, 900), (99, 1, 900)]
)
def test_the_backoff_triples_up_to_a_quarter_of_an_hour(attempt, draw, seconds):
    assert outcome.backoff(attempt, draw) == seconds


def test_a_dead_letter_has_the_same_body_and_attributes_and_a_reason():
    raw = {
        "ReceiptHandle": "h",
        "Body": '{"group":{"x":1}}',
        "MessageAttributes": {
            "job_id": {"DataType": "String", "StringValue": "0123456789abcdef"},
            "submission": {"DataType": "Number", "StringValue": "2"},
            "reason": {"DataType": "String", "StringValue": "of an earlier time"},
        },
    }

    letter = outcome.dead_letter(message.parse(raw, "App", "R1"), "exit \x1b[31m3 " + "x" * 2000)

    assert letter["MessageBody"] == raw["Body"]
    attributes = letter["MessageAttributes"]
    assert attributes["job_id"] == raw["MessageAttributes"]["job_id"]
    assert attributes["submission"] == raw["MessageAttributes"]["submission"]
    reason = attributes["reason"]["StringValue"]
    assert reason.startswith("exit ?[31m3 ") and len(reason) == outcome.LONGEST_REASON


@pytest.mark.parametrize("letter", ["é", "日", "\U0001f600"])
def test_a_reason_takes_no_more_bytes_than_its_share_of_the_message(letter):
    got = message.parse({"ReceiptHandle": "h", "Body": "{}"}, "App", "R1")

    reason = outcome.dead_letter(got, letter * 2000)["MessageAttributes"]["reason"]["StringValue"]

    assert outcome.LONGEST_REASON - 4 < len(reason.encode()) <= outcome.LONGEST_REASON
    assert set(reason) == {letter}


def test_a_dead_letter_can_be_without_a_reason():
    got = message.parse({"ReceiptHandle": "h", "Body": "{}"}, "App", "R1")

    assert outcome.dead_letter(got, None)["MessageAttributes"] == {}
