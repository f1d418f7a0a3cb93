"""The material of a report: exact counts, a fair sample, all failures."""

from __future__ import annotations

import boto3
import pytest

from benchmarks import recorded_run
from benchmarks.recorded_run import BUCKET, Shape
from control.aws.session import AWS
from control.records import store
from control.reports import collect
from control.reports.collect import Limits, number, text

SHAPE = Shape(jobs=600, failed=50, skipped=20, waiting=100, retrying=7, recovered=30, retried=9)


@pytest.fixture
def recorded(monkeypatch):
    """Reads a recorded run: (shape, limits) -> Reading."""

    def read(shape, limits=None):
        with recorded_run.serving(shape) as served:
            for name, value in served.environment().items():
                monkeypatch.setenv(name, value)
            s3 = AWS(boto3.Session()).s3
            run = store.load(s3, BUCKET, recorded_run.APP_NAME, shape.run_id)
            found = collect.read_run(s3, run, limits)
            s3.close()
            return found

    return read


def test_counts_are_exact_and_done_beats_failed(recorded):
    found = recorded(SHAPE)
    assert found.submitted == 600
    assert found.count("done") == 600 - 50 - 20 - 100 - 7
    assert (found.count("skipped"), found.count("failed")) == (20, 50)
    assert found.attempts["interrupted"] == 0
    # Failed, retrying and recovered jobs each have some.
    assert found.attempts["failed"] >= 50 + 7 + 30
    assert found.log_bytes >= found.count("done") * 1000


def test_of_done_jobs_a_sample_is_read_the_same_each_time(recorded):
    first, second = (recorded(SHAPE, Limits(done=100, failed=1000, attempts=10)) for _ in range(2))
    assert [r["job_id"] for r in first.done] == [r["job_id"] for r in second.done]
    assert len({r["job_id"] for r in first.done}) == 100
    assert {r["state"] for r in first.done} == {"done"}
    assert len(first.lost) == 10


def test_all_failures_are_read(recorded):
    found = recorded(SHAPE, Limits(done=1))
    assert len({r["job_id"] for r in found.failed}) == 50
    assert {r["state"] for r in found.failed} == {"failed"}


def test_times_are_those_of_the_records(recorded):
    found = recorded(SHAPE)
    times = [t for some in found.times.values() for t in some]
    assert len(times) == 600 - 100 - 7
    assert SHAPE.began < min(times) < max(times) <= SHAPE.ended


@pytest.mark.parametrize(
    "shape", [Shape(jobs=0), Shape(jobs=3, waiting=3)], ids=["none", "waiting"]
)
def test_a_run_without_records(recorded, shape):
    found = recorded(shape)
    assert (found.submitted, found.done, found.failed) == (shape.jobs, [], [])
    assert not any(found.times.values())


def put(aws, run, name, body):
    aws.s3.put_object(Bucket=run.bucket, Key=f"{run.prefix}{name}", Body=body)


def test_records_that_are_none_are_counted_not_fatal(aws, run):
    for number_, body in enumerate((b"", b"[1]", b"\xff\xfe", b'{"seconds": 3}')):
        put(aws, run, f"records/{number_:016x}.done.json", body)
    put(aws, run, "records/README.txt", b"not ours")
    put(aws, run, "records/ABCDEFABCDEFABCD.done.json", b"not ours")
    found = collect.read_run(aws.s3, run)
    assert found.count("done") == 4
    assert (found.done, found.unreadable) == ([{"seconds": 3}], 3)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        *[(3, 3.0), (0.5, 0.5), (-1, 0.0), (True, 0.0), (None, 0.0), ("7", 0.0), ([1], 0.0)],
        *[(float("nan"), 0.0), (float("inf"), 0.0)],
    ],
)
def test_a_number_that_is_none_is_0(value, read):
    assert number({"x": value}, "x") == read
    assert number({}, "x") == 0.0


def test_a_text_that_is_none_is_empty():
    assert [text({"x": one}, "x") for one in ("a", None, 3, ["a"])] == ["a", "", "", ""]
