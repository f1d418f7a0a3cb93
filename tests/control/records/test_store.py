"""run.json, written by several at once."""

import dataclasses

import pytest

from control.aws.s3 import put_json
from control.errors import ExplainedError
from control.model import new_run_id, utc
from control.records import store


def put(aws, run, *names):
    for name in names:
        aws.s3.put_object(Bucket=run.bucket, Key=f"{run.prefix}{name}", Body=b"")


def test_a_run_is_written_and_read_back(aws, run):
    assert store.load(aws.s3, run.bucket, "Test", run.run_id) == run
    assert store.live(aws.s3, run.bucket, "Test") == run


def test_a_run_that_exists_is_not_written_over(aws, run):
    other = dataclasses.replace(run, owner="another")
    assert store.create(aws.s3, other) == run
    assert store.load(aws.s3, run.bucket, "Test", run.run_id).owner == "me"


def test_a_run_of_a_later_version_is_read_too(aws, run):
    content = {**run.as_json(), "something_new": 1}
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

    with pytest.raises(ExplainedError, match="constantly changed"):
        store.change(aws.s3, run, always_another, wait=lambda seconds: None)


def test_no_change_writes_nothing(aws, run):
    written = []
    aws.s3.meta.events.register("before-call.s3.PutObject", lambda **_: written.append(1))
    assert store.change(aws.s3, run, lambda now: now) == run
    assert not written
    store.change(aws.s3, run, one_more)
    assert written


def test_run_ids_sort_by_time_and_name_it(run):
    assert new_run_id(0) == "19700101T000000Z"
    assert dataclasses.replace(run, run_id=new_run_id(1_800_000_000)).began == 1_800_000_000
    assert new_run_id(1_800_000_000) > new_run_id(1_799_999_999)
    assert utc(0) == "1970-01-01T00:00:00Z"
