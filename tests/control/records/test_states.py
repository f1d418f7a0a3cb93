"""Jobs counted by state, cause and minute, and listed by state, from key names alone."""

from __future__ import annotations

import dataclasses
import time

import pytest

from control.aws.s3 import Entry
from control.model import JobCounts
from control.records import states
from control.records.states import by_job
from tests.control.records.test_store import put


def job_id(number):
    return f"{number * 0x1357_9BDF_0246:016x}"[-16:]


def test_jobs_are_counted_by_state_cause_and_minute(aws, run):
    put(aws, run, "submitted/0001-000001-new7-again0.jsonl.gz", "submitted/")
    put(aws, run, "submitted/0002-000001-new3-again2.jsonl.gz", "submitted/notes.txt")
    put(aws, run, *(f"records/{job_id(i)}.done.json" for i in range(4)))
    put(aws, run, f"records/{job_id(9)}.timeout.failed.json")
    put(aws, run, *(f"records/{job_id(i)}.exit_code.failed.json" for i in (0, 10, 11)))
    put(aws, run, f"records/{job_id(8)}.skipped.json", "records/notes.txt")
    put(aws, run, f"records/{job_id(7)}.cancelled.json")
    tally = states.tally(aws.s3, run)
    assert states.count(aws.s3, run) == tally.counts
    assert tally.counts == JobCounts(submitted=10, done=4, skipped=1, failed=3, cancelled=1)
    assert (tally.counts.finished, tally.counts.unfinished) == (9, 1)
    assert tally.causes == {"exit_code": 2, "timeout": 1}
    assert sum(tally.finished.values()) == 9
    assert all(minute % 60 == 0 and abs(minute - time.time()) < 600 for minute in tally.finished)


def test_more_than_one_listing(aws, run, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    put(aws, run, *(f"records/{job_id(i)}.done.json" for i in range(60)))
    put(aws, run, *(f"records/{job_id(i)}.signal.failed.json" for i in range(50, 70)))
    first = aws.s3.list_objects_v2(Bucket=run.bucket, Prefix=f"{run.prefix}records/")
    assert first["IsTruncated"]
    tally = states.tally(aws.s3, run)
    assert (tally.counts.done, tally.counts.failed, tally.causes) == (60, 10, {"signal": 10})
    assert sum(tally.finished.values()) == 70
    done = sorted(int(job_id(i), 16) for i in range(60))
    assert sorted(states.finished_ids(aws.s3, run.bucket, "Test")) == done
    found = states.by_state(aws.s3, run)
    assert list(found["done"].ids) == done
    assert len(found["done"].times) == 60 and found["done"].causes == []
    assert len(found["failed"].ids) == 10 and found["failed"].causes == ["signal"] * 10


def test_nothing_yet(aws, run):
    assert states.tally(aws.s3, run) == states.Tally(JobCounts(0, 0, 0, 0), {}, {})


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        ("", []),
        ("done skipped cancelled timeout.failed", ["done"]),
        ("cancelled skipped signal.failed", ["skipped"]),
        ("cancelled signal.failed", ["cancelled"]),
        ("strange timeout.strange failed done.txt", []),
    ],
)
def test_done_beats_skipped_beats_cancelled_beats_failed(names, counts):
    ends = sorted(f"{one}.json" for one in names.split())
    entries = [Entry(f"runs/a/b/records/{job_id(1)}.{end}", "2026-01-31T12:30:59Z") for end in ends]
    others = [Entry(f"r/{name}", "") for name in ("", "readme.txt", "1.done.json")]
    assert [records[0].state for records in by_job([*entries, *others])] == counts


def test_of_several_failed_records_the_newest_counts_with_its_cause_and_time():
    times = {"done": "12:30", "exit_code.failed": "09:00", "timeout.failed": "11:00"}
    entries = [
        Entry(f"r/{job_id(n)}.{name}.json", f"2026-01-31T{at}:59.000Z")
        for n, names in enumerate((list(times), list(times)[1:]))
        for name, at in ((name, times[name]) for name in names)
    ]
    first, second = (records[0] for records in by_job(entries))
    assert (first.state, first.cause, first.written[11:16]) == ("done", "", "12:30")
    assert (second.state, second.cause, second.written[11:16]) == ("failed", "timeout", "11:00")


def test_the_finished_jobs_of_all_runs_are_known(aws, run):
    earlier = dataclasses.replace(run, run_id="20250101T000000Z")
    other = dataclasses.replace(run, app_name="Tester")
    put(aws, run, f"records/{job_id(1)}.done.json", f"records/{job_id(2)}.timeout.failed.json")
    put(aws, run, f"records/{job_id(6)}.cancelled.json")
    put(aws, earlier, f"records/{job_id(3)}.skipped.json")
    put(aws, earlier, f"attempts/{job_id(4)}.1.1.timeout.failed.json", "records/notes.txt")
    put(aws, other, f"records/{job_id(5)}.done.json")
    finished = [int(job_id(number), 16) for number in (1, 3)]
    assert sorted(states.finished_ids(aws.s3, run.bucket, "Test")) == finished
    recorded = states.recorded(aws.s3, run)
    assert [int(job_id(n), 16) in recorded for n in (1, 2, 6, 3)] == [True, True, True, False]
