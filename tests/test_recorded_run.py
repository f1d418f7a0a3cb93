"""The recorded run that benchmarks read: as control and the workers would have written it."""

from __future__ import annotations

import json
import re

import boto3
import pytest

from benchmarks import recorded_run
from benchmarks.recorded_run import APP_NAME, BUCKET, Shape
from control.aws.s3 import list_keys
from control.model import JobCounts
from control.records import states, store, submissions
from control.records.attempts import unpack_log
from control.user_files.job import make_job
from tests.conftest import ROOT

SHAPE = Shape(
    jobs=12_000, failed=300, skipped=20, waiting=500, retrying=30, recovered=200, retried=40
)


@pytest.fixture
def recorded(monkeypatch):
    """The run, and a client that reaches it."""
    with recorded_run.serving(SHAPE) as served:
        s3 = boto3.client("s3", region_name="us-east-1", endpoint_url=served.url)
        yield store.latest(s3, BUCKET, APP_NAME), s3
        s3.close()


def keys_of(s3, run, folder):
    return list(list_keys(s3, BUCKET, f"{run.prefix}{folder}"))


def read(s3, key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def test_its_counts_are_those_that_were_requested(recorded):
    run, s3 = recorded
    finished = 12_000 - 500 - 30
    expected = JobCounts(12_000, finished - 320, 20, 300)
    assert states.count(s3, run) == expected and not run.ended
    known = submissions.known(s3, run).submissions
    again = [key for key in keys_of(s3, run, "records/") if key.endswith(".failed.json")]
    numbers = [known[int(key.rsplit("/", 1)[1][:16], 16)] for key in again]
    assert sorted(numbers) == [1] * 300 + [2] * 40


def test_its_jobs_have_the_ids_and_names_that_their_bodies_give(recorded):
    run, s3 = recorded
    for entry in submissions.entries(s3, run):
        shared = dict(entry["body"])
        made = make_job(shared, shared.pop("group"), "")
        assert (entry["id"], entry["name"]) == (made.id, made.name)


def test_its_listings_are_in_order_and_what_they_name_is_there(recorded):
    run, s3 = recorded
    keys = keys_of(s3, run, "")
    assert keys == sorted(set(keys))
    assert {key.split("/")[3] for key in keys} == {
        *("attempts", "records", "run.json", "snapshot", "submitted")
    }
    for key in keys[:: len(keys) // 200]:
        assert read(s3, key)
    with pytest.raises(s3.exceptions.NoSuchKey):
        read(s3, f"{run.prefix}records/0000000000000000.done.json")


def test_its_records_are_as_the_contract_has_them(recorded):
    run, s3 = recorded
    text = (ROOT / "documentation/contract.md").read_text(encoding="utf-8")
    table = text.split("Every attempt and record is a JSON object:")[1].split("The causes:")[0]
    names = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    fields = set(re.findall(r"`(\w+)`", " ".join(names)))
    holders = {*keys_of(s3, run, "attempts/"), *keys_of(s3, run, "records/")}
    for folder in ("records/", "attempts/"):
        for key in keys_of(s3, run, folder)[::100]:
            record = json.loads(read(s3, key))
            assert set(record) == fields
            assert key.endswith(f"{record['state']}.json") and record["job_id"] in key
            assert record["state"] != "failed" or f".{record['cause']}." in key
            assert not record["log_key"] or record["log_key"] in holders
            assert (key == record["log_key"]) == bool(unpack_log(record))
            assert bool(record["reason"]) == (record["state"] != "done")
