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
from control.aws.s3 import list_keys
from control.aws.sqs import RECEIVES_ABOVE_RETRIES
from control.config import SETTINGS, load_config
from control.model import CAUSES, STATES, JobCounts
from control.records import job_objects, sending, states, submissions
from control.records.attempts import log_size, unpack_log
from control.user_files import container_environment
from control.user_files.job import job_name, make_job
from plumbing import attempt
from plumbing.errors import Cause
from plumbing.job_log import JobLog
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
    job = make_job(shared, group, "")
    message = parse({"Body": job.body, "ReceiptHandle": "h"}, "App", "run")
    assert message.job_id == job.id
    assert message.fault == ""


@given(group=OBJECTS)
def test_both_sides_make_the_same_name(group):
    assert plumbing.message.job_name(group, "0" * 16) == job_name(group, "0" * 16)


@given(group=OBJECTS)
def test_the_worker_takes_the_submitters_name_as_it_is(group):
    name = job_name(group, "0" * 16)
    assert plumbing.message.safe_name(name, "0" * 16) == name


def test_a_setting_comes_back_as_config_had_it(write_config):
    config = load_config(
        write_config(
            'MY_LIST = ["DNA", 7]\nMY_TEXT = "7"\nMY_NUMBER = 7\nMY_NONE = None\nMY_SHARE = 0.5\n'
            'MY_DICT = {"a": [True]}\nMY_FLAG = "False"\nMY_ODD = "naïve \\"text\\""\n',
            SSH_KEY_NAME="key",
            AWS_PROFILE=...,
        )
    )
    told = container_environment.of_container(config.container_values(), "https://queue", "run")
    assert {type(text) for text in told.values()} == {str}
    read = plumbing.settings.read_settings(told).config
    assert {name: read[name] for name in config.container_values()} == config.container_values()
    assert read["MY_TEXT"] == "7" and read["MY_NUMBER"] == 7 and read["MY_FLAG"] is False
    assert "SSH_KEY_NAME" not in read and "AWS_PROFILE" not in read


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_is_documented(name):
    page = Path(__file__).parent.parent / "documentation/step_1_configuration.md"
    assert f"`{name}`" in page.read_text(encoding="utf-8")


def test_the_workers_keys_are_those_that_control_counts(run, aws):
    keys = plumbing.records.Keys(run.app_name, run.run_id, "0123456789abcdef", 2, 3)
    for state, cause in (("done", ""), ("failed", "exit_code"), ("skipped", "already_done")):
        key = keys.record(state, cause)
        aws.s3.put_object(Bucket=run.bucket, Key=key, Body=b"{}")
        in_key = cause if state == "failed" else ""
        assert job_objects.parse_record(key) == (keys.job_id, state, in_key)
        assert job_objects.record_key(run, keys.job_id, state, in_key) == key
    assert states.count(aws.s3, run) == JobCounts(0, done=1, skipped=0, failed=0)
    for state, cause in (("failed", "timeout"), ("interrupted", "")):
        key = keys.attempt(state, cause)
        parsed = job_objects.parse_attempt(key)
        assert parsed == (keys.job_id, 2, 3, state, cause)
        assert job_objects.attempt_key(run, parsed) == key
        assert job_objects.log_file(key) == keys.log
    assert job_objects.parse_log(keys.log) == (keys.job_id, 2, 3, "", "")


def test_both_sides_have_the_same_causes_and_states(run):
    assert list(get_args(Cause)) == list(CAUSES)
    keys = plumbing.records.Keys(run.app_name, run.run_id, "0123456789abcdef", 1, 1)
    for cause in CAUSES:
        assert job_objects.parse_record(keys.record("failed", cause)).cause == cause
    assert plumbing.records.FAILED in STATES


def test_every_cause_is_documented():
    page = Path(__file__).parent.parent / "documentation/contract.md"
    table = page.read_text(encoding="utf-8").partition("The causes:")[2].partition("The log of")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(CAUSES)


def test_a_message_belongs_to_the_app_and_run_that_sent_it(run):
    job = make_job({"a": 1}, {"plate": "P1"}, "")
    (entry,) = sending.entries_of([(job, 2)], run)
    raw = {"Body": entry["MessageBody"], "ReceiptHandle": "h"}
    message = parse({**raw, "MessageAttributes": entry["MessageAttributes"]}, "Test", run.run_id)
    assert (message.job_id, message.job_name, message.run_id) == (job.id, job.name, run.run_id)
    assert (message.submission, message.refusal, message.fault) == (2, "", "")
    other = parse({**raw, "MessageAttributes": entry["MessageAttributes"]}, "Other", run.run_id)
    assert "Test" in other.refusal


def test_control_reads_the_log_that_the_worker_packs(tmp_path):
    log = JobLog(tmp_path / "log.txt", "P1", 0, lambda _: None)
    log.line("ü first")
    record = {"log": log.packed()}
    log.close()
    assert unpack_log(record).decode() == "ü first\n"
    assert log_size(record) == len("ü first\n".encode())


def test_a_part_holds_what_the_contract_says(run, aws):
    job = make_job({"a": 1}, {"plate": "P1"}, "")
    submissions.write_part(aws.s3, run, 1, 1, [(job, 1)])
    (key,) = list_keys(aws.s3, run.bucket, f"{run.prefix}submitted/")
    assert re.search(r"submitted/0001-000001-new1-again0\.jsonl\.gz$", key)
    (entry,) = submissions.entries(aws.s3, run)
    assert entry == {
        "id": job.id,
        "name": "P1",
        "submission": 1,
        "body": {"a": 1, "group": {"plate": "P1"}},
    }


def test_the_worker_gives_a_job_up_before_sqs_drops_it():
    assert attempt.MOST_RECEIVES_ABOVE_RETRIES < RECEIVES_ABOVE_RETRIES


def test_the_message_is_canonical_json():
    job = make_job({"z": 1, "a": "é"}, {"b": [1, 2]}, "")
    assert job.body == '{"a":"é","group":{"b":[1,2]},"z":1}'
    assert json.loads(job.body)["group"] == {"b": [1, 2]}
