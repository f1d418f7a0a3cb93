from __future__ import annotations

import re
from dataclasses import replace

import pytest

from plumbing import records

KEYS = records.Keys("App", "R1", "00ff", 2, 4)


def test_keys_are_those_of_the_contract():
    assert KEYS.attempt("failed", "timeout") == "runs/App/R1/attempts/00ff.2.4.timeout.failed.json"
    assert KEYS.attempt("interrupted", "interrupted") == (
        "runs/App/R1/attempts/00ff.2.4.interrupted.json"
    )
    assert KEYS.record("failed", "killed") == "runs/App/R1/records/00ff.killed.failed.json"
    assert KEYS.record("skipped", "already_done") == "runs/App/R1/records/00ff.skipped.json"
    assert KEYS.record("done") == "runs/App/R1/records/00ff.done.json"
    assert KEYS.log == "runs/App/R1/logs/00ff.2.4.txt"


@pytest.mark.parametrize(
    ("ends", "receive", "failed", "interrupted", "silent"),
    [
        ({}, 1, {}, [], []),
        ({}, 3, {}, [], [1, 2]),
        ({1: "timeout", 2: "interrupted"}, 4, {1: "timeout"}, [2], [3]),
        ({1: "signal", 3: "killed", 12: "signal"}, 4, {1: "signal", 3: "killed"}, [], [2]),
        ({4: "timeout"}, 4, {}, [], [1, 2, 3]),
    ],
)
def test_earlier_receives_are_distinguished_by_what_they_left(
    ends, receive, failed, interrupted, silent
):
    names = [
        replace(KEYS, receive=number).attempt(
            "interrupted" if cause == "interrupted" else "failed", cause
        )
        for number, cause in ends.items()
    ]

    past = records.past_of(names, receive)

    assert past == records.Past(failed, interrupted, silent)
    assert past.counted == len(failed) + len(silent)


def test_the_past_of_another_submission_or_job_does_not_count(cloud):
    for name in ("00ff.1.1", "00ff.2.1", "00ff.22.2", "00fe.2.2"):
        cloud.s3.put_object(
            Bucket=cloud.bucket, Key=f"runs/App/R1/attempts/{name}.signal.failed.json", Body=b"{}"
        )

    past = records.read_past(cloud.s3, cloud.bucket, KEYS, lambda: None)

    assert past == records.Past({1: "signal"}, [], [2, 3])


def test_a_first_receive_lists_nothing():
    first = records.Keys("App", "R1", "0", 1, 1)

    assert records.read_past(None, "bucket", first, pytest.fail) == records.NO_PAST


def test_the_first_done_record_stays(cloud):
    assert records.find_done(cloud.s3, cloud.bucket, KEYS) is None
    assert records.write_done(cloud.s3, cloud.bucket, KEYS, {"receive": 1}, None)

    assert not records.write_done(cloud.s3, cloud.bucket, KEYS, {"receive": 2}, None)

    assert b'"receive": 1' in cloud.read(KEYS.record("done"))
    assert records.find_done(cloud.s3, cloud.bucket, KEYS).submission == 2


def test_a_later_submission_replaces_the_done_record_that_it_found_and_no_other(cloud):
    first = records.Keys("App", "R1", "00ff", 1, 1)
    records.write_done(cloud.s3, cloud.bucket, first, {}, None)
    found = records.find_done(cloud.s3, cloud.bucket, KEYS)

    assert records.write_done(cloud.s3, cloud.bucket, KEYS, {"new": True}, found)
    assert not records.write_done(cloud.s3, cloud.bucket, KEYS, {"late": True}, found)

    assert b"new" in cloud.read(KEYS.record("done"))


@pytest.mark.parametrize(
    ("failed", "silent", "reason", "cause"),
    [
        (
            2,
            [1, 3],
            "ended silently 2 times (the machine was lost, .*; before that: exit 3",
            "killed",
        ),
        (3, [1, 2], "exit 3; before that: ended silently 2 times", "exit_code"),
    ],
)
def test_the_last_attempt_comes_first_in_the_reason_and_gives_the_cause(
    cloud, failed, silent, reason, cause
):
    key = replace(KEYS, receive=failed).attempt("failed", "exit_code")
    body = b'{"reason": "exit 3", "log_key": "where.json"}'
    cloud.s3.put_object(Bucket=cloud.bucket, Key=key, Body=body)
    past = records.Past({failed: "exit_code"}, [], silent)

    last = records.last_attempt(cloud.s3, cloud.bucket, KEYS, past)

    assert re.match(reason.replace("(", r"\("), last[0])
    assert last[1:] == (cause, "where.json")


def test_times_are_utc_to_the_millisecond():
    assert records.utc(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"
