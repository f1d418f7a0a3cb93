from __future__ import annotations

import pytest

from plumbing import records

KEYS = records.Keys("App", "R1", "00ff", 2, 4)


def test_keys_are_those_of_the_contract():
    assert KEYS.attempt("failed") == "runs/App/R1/attempts/00ff.2.4.failed.json"
    assert KEYS.record("done") == "runs/App/R1/records/00ff.done.json"
    assert KEYS.log == "runs/App/R1/logs/00ff.2.4.txt"


@pytest.mark.parametrize(
    ("ends", "receive", "failed", "interrupted", "silent"),
    [
        ({}, 1, [], [], []),
        ({}, 3, [], [], [1, 2]),
        ({1: "failed", 2: "interrupted"}, 4, [1], [2], [3]),
        ({1: "failed", 3: "failed", 12: "failed"}, 4, [1, 3], [], [2]),
        ({4: "failed"}, 4, [], [], [1, 2, 3]),
    ],
)
def test_earlier_receives_are_told_apart_by_what_they_left(
    ends, receive, failed, interrupted, silent
):
    names = [KEYS.attempt(state, number) for number, state in ends.items()]

    past = records.past_of(names, receive)

    assert past == records.Past(failed, interrupted, silent)
    assert past.counted == len(failed) + len(silent)


def test_the_past_of_another_submission_or_job_does_not_count(cloud):
    for name in ("00ff.1.1.failed", "00ff.2.1.failed", "00ff.22.2.failed", "00fe.2.2.failed"):
        cloud.s3.put_object(
            Bucket=cloud.bucket, Key=f"runs/App/R1/attempts/{name}.json", Body=b"{}"
        )

    past = records.read_past(cloud.s3, cloud.bucket, KEYS, lambda: None)

    assert past == records.Past([1], [], [2, 3])


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


def test_why_a_job_is_given_up_tells_of_silent_deaths_and_the_last_failure(cloud):
    cloud.s3.put_object(
        Bucket=cloud.bucket, Key=KEYS.attempt("failed", 2), Body=b'{"reason": "exit 3"}'
    )
    past = records.Past([2], [], [1, 3])

    reason = records.reason_of(cloud.s3, cloud.bucket, KEYS, past)

    assert reason.startswith("killed 2 times without a word (")
    assert "the machine was lost" in reason and "cut off from AWS" in reason
    assert reason.endswith("; before that: exit 3")


def test_what_happened_last_is_told_first(cloud):
    cloud.s3.put_object(
        Bucket=cloud.bucket, Key=KEYS.attempt("failed", 3), Body=b'{"reason": "exit 3"}'
    )

    reason = records.reason_of(cloud.s3, cloud.bucket, KEYS, records.Past([3], [], [1, 2]))

    assert reason.startswith("exit 3; before that: killed 2 times")


def test_times_are_utc_to_the_millisecond():
    assert records.utc(1_700_000_000.25) == "2023-11-14T22:13:20.250Z"
