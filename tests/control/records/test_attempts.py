"""The attempts of a job, and its logs: inside attempts and records, or objects of their own."""

from __future__ import annotations

import pytest

from control.aws.s3 import put_json
from control.records import attempts, job_objects
from control.user_files.job import make_job
from tests.worker_records import give_up, put

JOB = make_job({}, {"name": "a"}, "")


def logs_of(aws, run):
    return {
        one.name: list(attempts.read_log(aws.s3, run, one.log_key)) if one.log_key else None
        for one in attempts.known(aws.s3, run, JOB.id).attempts
    }


@pytest.mark.parametrize("large", [False, True], ids=["inside", "an object"])
def test_the_log_of_every_attempt_is_found(aws, run, large):
    put(aws.s3, run, JOB, "attempt failed", receive=1, lines=["one", "ü\x85\u2028|"])
    put(aws.s3, run, JOB, "attempt interrupted", receive=2, lines=["two"], large_log=large)
    put(aws.s3, run, JOB, "done", receive=4, lines=["four"], large_log=large)
    assert logs_of(aws, run) == {
        **{"1.1": ["one", "ü\x85\u2028|"], "1.2": ["two"], "1.3": None, "1.4": ["four"]}
    }
    known = attempts.known(aws.s3, run, JOB.id)
    said = "done; attempts: 1.1 failed, 1.2 interrupted, 1.3 ended silently, 1.4 done"
    assert known.in_words() == said


def test_of_several_failed_records_each_names_its_last_attempt(aws, run):
    give_up(aws.s3, run, JOB, attempts=1, cause="timeout", lines=["slow"])
    put(aws.s3, run, JOB, "failed", submission=2, receive=2, cause="killed", log_key="")
    assert logs_of(aws, run) == {"1.1": ["slow"], "2.1": None, "2.2": None}
    assert attempts.known(aws.s3, run, JOB.id).state == "failed"


def test_the_size_of_a_log_is_known_without_unpacking_it(aws, run):
    put(aws.s3, run, JOB, "done", lines=["line"] * 1000)
    key = f"{run.prefix}records/{JOB.id}.done.json"
    (one,) = job_objects.read(aws.s3, run, [key])
    assert attempts.log_size(one.record) == len(attempts.unpack_log(one.record)) == 5000
    for log in ("", None, 7, "x", "%%%"):
        assert attempts.log_size({"log": log}) == 0
    put_json(aws.s3, run.bucket, key, {"state": "done"})
    assert list(attempts.read_log(aws.s3, run, key)) == []
