"""Both sides of documentation/contract.md: what control writes is what the worker reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plumbing.message
import plumbing.records
import plumbing.settings
from control import settings
from control.jobs import jobs
from control.runs import submitted
from control.services import environment, queues, records
from plumbing import attempt
from plumbing.errors import Cause
from plumbing.message import parse

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\ufffe\uffff"), max_size=30)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(TEXT.filter(lambda k: "_comment" not in k and k != "group"), VALUES)


@given(shared=OBJECTS, group=OBJECTS)
def test_a_message_without_attributes_gets_the_id_that_the_submitter_would_give(shared, group):
    job = jobs.make(shared, group, "")
    message = parse({"Body": job.body, "ReceiptHandle": "h"}, "App", "run")
    assert message.job_id == job.id
    assert message.fault == ""


@given(group=OBJECTS)
def test_both_sides_make_the_same_name(group):
    assert plumbing.message.job_name(group, "0" * 16) == jobs.job_name(group, "0" * 16)


@given(group=OBJECTS)
def test_the_worker_takes_the_submitters_name_as_it_is(group):
    name = jobs.job_name(group, "0" * 16)
    assert plumbing.message.safe_name(name, "0" * 16) == name


def test_a_setting_comes_back_as_config_had_it(write_config):
    config = settings.load(
        write_config(
            'MY_LIST = ["DNA", 7]\nMY_TEXT = "7"\nMY_NUMBER = 7\nMY_NONE = None\nMY_SHARE = 0.5\n'
            'MY_DICT = {"a": [True]}\nMY_FLAG = "False"\nMY_ODD = "naïve \\"text\\""\n',
            SSH_KEY_NAME="key",
            AWS_PROFILE=...,
        )
    )
    told = environment.of_container(config.container_values(), "https://queue", "run")
    assert {type(text) for text in told.values()} == {str}
    read = plumbing.settings.read_settings(told).config
    assert {name: read[name] for name in config.container_values()} == config.container_values()
    assert read["MY_TEXT"] == "7" and read["MY_NUMBER"] == 7 and read["MY_FLAG"] is False
    assert "SSH_KEY_NAME" not in read and "AWS_PROFILE" not in read


@pytest.mark.parametrize("name", sorted(settings.SETTINGS))
def test_every_setting_is_documented(name):
    page = Path(__file__).parent.parent / "documentation/step_1_configuration.md"
    assert f"`{name}`" in page.read_text(encoding="utf-8")


def test_the_workers_keys_are_those_that_control_counts(run, aws):
    keys = plumbing.records.Keys(run.app_name, run.run_id, "0123456789abcdef", 2, 3)
    for state, cause in (("done", ""), ("failed", "exit_code"), ("skipped", "already_done")):
        aws.s3.put_object(Bucket=run.bucket, Key=keys.record(state, cause), Body=b"{}")
    assert records.count(aws.s3, run) == records.JobCounts(0, done=1, skipped=0, failed=0)
    prefix = f"runs/{run.app_name}/{run.run_id}/"
    attempt_key = f"{prefix}attempts/0123456789abcdef.2.3.timeout.failed.json"
    assert keys.attempt("failed", "timeout") == attempt_key
    assert keys.log == f"{prefix}logs/0123456789abcdef.2.3.txt"


def test_a_part_holds_what_the_contract_says(run, aws):
    job = jobs.make({"a": 1}, {"plate": "P1"}, "")
    parts = submitted.Parts(aws.s3, run, 1)
    parts.add([(job, 1)])
    parts.flush()
    (key,) = records.list_keys(aws.s3, run.bucket, f"{run.prefix}submitted/")
    assert re.search(r"submitted/0001-000001-new1-again0\.jsonl\.gz$", key)
    (entry,) = submitted.entries(aws.s3, run)
    assert entry == {
        "id": job.id,
        "name": "P1",
        "submission": 1,
        "body": {"a": 1, "group": {"plate": "P1"}},
    }


def test_the_worker_gives_a_job_up_before_sqs_drops_it():
    assert attempt.MOST_RECEIVES_ABOVE_RETRIES < queues.RECEIVES_ABOVE_RETRIES


def test_the_message_is_canonical_json():
    job = jobs.make({"z": 1, "a": "é"}, {"b": [1, 2]}, "")
    assert job.body == '{"a":"é","group":{"b":[1,2]},"z":1}'
    assert json.loads(job.body)["group"] == {"b": [1, 2]}


def test_every_cause_is_documented():
    page = Path(__file__).parent.parent / "documentation/contract.md"
    table = page.read_text(encoding="utf-8").partition("The causes:")[2].partition("The log of")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(get_args(Cause))
