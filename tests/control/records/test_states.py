"""Jobs counted, and when they were finished, from listings alone."""

from __future__ import annotations

import time

from control.aws.s3 import Entry
from control.model import JobCounts
from control.records import states
from tests.control.records.test_store import job_id, put


def test_the_counts_are_those_of_records(aws, run):
    put(aws, run, "submitted/0001-000001-new7-again0.jsonl.gz")
    put(aws, run, *(f"records/{job_id(i)}.done.json" for i in range(4)))
    put(aws, run, f"records/{job_id(9)}.failed.json", f"records/{job_id(0)}.failed.json")
    put(aws, run, f"records/{job_id(8)}.skipped.json", "records/notes.txt")
    tally = states.of_run(aws.s3, run)
    assert tally.counts == states.count(aws.s3, run)
    assert tally.counts == JobCounts(submitted=7, done=4, skipped=1, failed=1)
    assert sum(tally.finished.values()) == 6
    assert all(minute % 60 == 0 and abs(minute - time.time()) < 600 for minute in tally.finished)


def test_more_than_one_listing(aws, run, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    put(aws, run, *(f"records/{job_id(i)}.done.json" for i in range(60)))
    put(aws, run, *(f"records/{job_id(i)}.failed.json" for i in range(50, 70)))
    tally = states.of_run(aws.s3, run)
    assert (tally.counts.done, tally.counts.failed) == (60, 10)
    assert sum(tally.finished.values()) == 70


def test_nothing_yet(aws, run):
    assert states.of_run(aws.s3, run) == states.Tally(JobCounts(0, 0, 0, 0), {})


def test_of_several_records_the_time_of_the_best_counts():
    entries = [
        Entry("r/1.done.json", "2026-01-31T12:30:59.000Z"),
        Entry("r/1.failed.json", "2026-01-31T09:00:00.000Z"),
    ]
    totals, minutes = states._tally(entries)
    assert totals == [1, 0, 0] and dict(minutes) == {"2026-01-31T12:30": 1}
