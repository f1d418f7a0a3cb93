"""S3: run.json written by several at once, and jobs counted by the names of keys."""

import dataclasses

import pytest

from control.aws.s3 import put_json
from control.errors import ExplainedError
from control.model import JobCounts, new_run_id, utc
from control.records import states, store


def put(aws, run, *names):
    for name in names:
        aws.s3.put_object(Bucket=run.bucket, Key=f"{run.prefix}{name}", Body=b"")


def job_id(number):
    return f"{number * 0x1357_9BDF_0246:016x}"[-16:]


def test_a_run_is_written_and_read_back(aws, run):
    assert store.load(aws.s3, run.bucket, "Test", run.run_id) == run
    assert store.live(aws.s3, run.bucket, "Test") == run


def test_a_run_that_exists_is_not_written_over(aws, run):
    other = dataclasses.replace(run, owner="another")
    assert store.create(aws.s3, other) == run
    assert store.load(aws.s3, run.bucket, "Test", run.run_id).owner == "me"


def test_a_run_of_a_later_version_is_read_too(aws, run):
    content = {**dataclasses.asdict(run), "something_new": 1}
    put_json(aws.s3, run.bucket, f"{run.prefix}run.json", content)
    assert store.load(aws.s3, run.bucket, "Test", run.run_id) == run


def test_the_current_run_is_the_newest_of_this_app(aws, run):
    later = dataclasses.replace(run, run_id="20260202T000000Z")
    store.create(aws.s3, later)
    store.create(aws.s3, dataclasses.replace(run, app_name="Test2", run_id="20270101T000000Z"))
    put(aws, dataclasses.replace(run, run_id="20280101T000000Z"), "logs/left.txt")
    assert store.current(aws.s3, run.bucket, "Test") == later


@pytest.mark.parametrize("how", ["none", "ended", "no queue"])
def test_without_a_live_run_setup_is_named(aws, run, how):
    app = "Other" if how == "none" else "Test"
    changes = {"ended": {"ended": "2026-01-02T00:00:00Z"}, "no queue": {"queue_url": ""}}
    if how in changes:
        store.change(aws.s3, run, lambda now: dataclasses.replace(now, **changes[how]))
    with pytest.raises(ExplainedError, match="run.py setup") as error:
        store.live(aws.s3, run.bucket, app)
    assert ("has ended" in error.value.what) == (how == "ended")


def one_more(run):
    return dataclasses.replace(run, submissions=run.submissions + 1)


def test_two_who_change_a_run_at_once_both_succeed(aws, run):
    interfered = []

    def change_while_another_does(now):
        if not interfered:
            interfered.append(1)
            store.change(aws.s3, run, one_more)
        return dataclasses.replace(now, cluster="mine", submissions=now.submissions + 1)

    written = store.change(aws.s3, run, change_while_another_does, wait=lambda seconds: None)
    assert (written.cluster, written.submissions) == ("mine", 2)
    assert store.load(aws.s3, run.bucket, "Test", run.run_id) == written


def test_a_run_that_is_changed_all_the_time_is_explained(aws, run):
    def always_another(now):
        store.change(aws.s3, run, one_more)
        return dataclasses.replace(now, cluster="mine")

    with pytest.raises(ExplainedError, match="changed by others"):
        store.change(aws.s3, run, always_another, wait=lambda seconds: None)


def test_no_change_writes_nothing(aws, run):
    written = []
    aws.s3.meta.events.register("before-call.s3.PutObject", lambda **_: written.append(1))
    assert store.change(aws.s3, run, lambda now: now) == run
    assert not written
    store.change(aws.s3, run, one_more)
    assert written


@pytest.mark.parametrize(
    ("names", "done_skipped_failed"),
    [
        ([], [0, 0, 0]),
        (["1.done.json", "2.skipped.json", "3.failed.json"], [1, 1, 1]),
        (["1.done.json", "1.failed.json"], [1, 0, 0]),
        (["1.done.json", "1.failed.json", "1.skipped.json"], [1, 0, 0]),
        (["1.failed.json", "1.skipped.json"], [0, 1, 0]),
        (["", "readme.txt", "1.strange.json", "2.done.json"], [1, 0, 0]),
    ],
)
def test_done_beats_skipped_beats_failed(names, done_skipped_failed):
    assert states.tally(f"runs/a/b/records/{name}" for name in names) == done_skipped_failed


def test_jobs_are_counted_from_the_names_of_keys(aws, run):
    put(aws, run, "submitted/0001-000001-new7-again0.jsonl.gz")
    put(aws, run, "submitted/0002-000001-new3-again2.jsonl.gz", "submitted/")
    put(aws, run, *(f"records/{job_id(i)}.done.json" for i in range(4)))
    put(aws, run, f"records/{job_id(9)}.failed.json", f"records/{job_id(0)}.failed.json")
    count = states.count(aws.s3, run)
    assert count == JobCounts(submitted=10, done=4, skipped=0, failed=1)
    assert count.finished == 5


def test_more_records_than_one_listing_are_counted_too(aws, run, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    put(aws, run, *(f"records/{job_id(i)}.done.json" for i in range(60)))
    put(aws, run, f"records/{job_id(7)}.failed.json", f"records/{job_id(99)}.failed.json")
    first = aws.s3.list_objects_v2(Bucket=run.bucket, Prefix=f"{run.prefix}records/")
    assert first["IsTruncated"]
    count = states.count(aws.s3, run)
    assert (count.done, count.failed) == (60, 1)
    finished = sorted(states.finished_ids(aws.s3, run.bucket, "Test"))
    assert finished == sorted(int(job_id(i), 16) for i in range(60))


def test_the_finished_jobs_of_all_runs_are_known(aws, run):
    earlier = dataclasses.replace(run, run_id="20250101T000000Z")
    other = dataclasses.replace(run, app_name="Tester")
    put(aws, run, f"records/{job_id(1)}.done.json", f"records/{job_id(2)}.failed.json")
    put(aws, earlier, f"records/{job_id(3)}.skipped.json", f"attempts/{job_id(4)}.1.1.failed.json")
    put(aws, earlier, "records/notes.txt")
    put(aws, other, f"records/{job_id(5)}.done.json")
    assert sorted(states.finished_ids(aws.s3, run.bucket, "Test")) == sorted(
        [int(job_id(1), 16), int(job_id(3), 16)]
    )


def test_run_ids_sort_by_time():
    assert new_run_id(0) == "19700101T000000Z"
    assert new_run_id(1_800_000_000) > new_run_id(1_799_999_999)
    assert utc(0) == "1970-01-01T00:00:00Z"
