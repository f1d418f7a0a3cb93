from __future__ import annotations

import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing import message


def raw(body, receive=1, **attributes):
    values = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
    return {
        "ReceiptHandle": "handle",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"ApproximateReceiveCount": str(receive)},
        "MessageAttributes": values,
    }


RUN = "20261122T020304Z"
BODY = {"a": 1, "group": {"b": 2}}
ID = hashlib.sha256(b'{"a":1,"group":{"b":2}}').hexdigest()[:16]


def parse(sent):
    return message.parse(sent, "App", RUN)


def test_the_attributes_of_the_submitter_are_taken():
    sent = raw(BODY, 4, app="App", job_id=ID, job_name="two", run_id=RUN, submission="3")

    got = parse(sent)

    assert (got.job_id, got.job_name, got.run_id) == (ID, "two", RUN)
    assert (got.submission, got.receive, got.fault, got.refusal) == (3, 4, "", "")
    assert got.values == BODY


def test_a_message_of_an_earlier_run_belongs_to_that_run():
    got = parse(raw(BODY, run_id="20251122T020304Z"))

    assert (got.run_id, got.refusal) == ("20251122T020304Z", "")


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"app": "Other"}, "from another app: Other"),
        ({"run_id": "20261122T020305Z"}, "from a later run"),
        ({"run_id": "../R2"}, "not a RUN_ID"),
        ({"run_id": "2026-11-22"}, "not a RUN_ID"),
        ({"job_id": "0123456789abcdef"}, "does not fit its body"),
        ({"job_id": ID.upper()}, "does not fit its body"),
        ({"job_id": f"{ID}00"}, "does not fit its body"),
        ({"job_id": "../../../x"}, "does not fit its body"),
    ],
    ids=str,
)
def test_a_message_that_is_none_of_the_apps_jobs_is_refused(attributes, why):
    got = parse(raw(BODY, **attributes))

    assert why in got.refusal
    assert got.job_id == ID and "/" not in got.job_name


def test_a_message_of_another_program_gets_the_id_and_name_that_follow_from_its_body():
    body = {"z": "é", "_comment": "x", "group": {"plate": "P1", "well": "A 01", "_comment": 1}}
    canonical = '{"group":{"plate":"P1","well":"A 01"},"z":"é"}'

    got = parse(raw(body))

    assert got.job_id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
    assert got.job_name == "P1-A_01"
    assert (got.run_id, got.submission, got.refusal) == (RUN, 1, "")


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ({"name": "given", "x": 1}, "given"),
        ({"name": "", "x": 1}, "-1"),
        ({"x": True, "y": None, "z": 1.5}, "True-None-1.5"),
        ({"x": [1, "a"], "y": {"b": 1, "a": 2}}, "_1,_a_-_a_2,_b_1_"),
        ({"x": "../../etc/passwd"}, "_.._etc_passwd"),
        ({"x": "e\u0301"}, "é"),
        ({"x": "..."}, None),
        ({}, None),
        ({"x": "a" * 151}, "a" * 133 + "-0123456789abcdef"),
        ({"x": "a" * 150}, "a" * 150),
    ],
)
def test_names(group, name):
    job_id = "0123456789abcdef"

    assert message.job_name(group, job_id) == (name or job_id)


@given(st.text())
def test_a_name_is_always_safe_in_a_path_and_stays_as_it_is(text):
    name = message.safe_name(text, "0123456789abcdef")

    assert re.fullmatch(r"[\w.=+@,-]{1,150}", name)
    assert not name.startswith(".") and not name.endswith(".")
    assert message.safe_name(name, "0123456789abcdef") == name


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("not json", "Expecting value"),
        ("[1]", "list instead of an object"),
        ('{"group": 7}', "group is a JSON int"),
        ("[" * 100_000, "recursion"),
        ('{"group": {"x": "\\ud800"}}', "surrogates"),
    ],
)
def test_what_is_no_job_gets_a_fault_and_an_id_all_the_same(body, why):
    got = parse(raw(body))

    assert why in got.fault
    assert re.fullmatch("[0-9a-f]{16}", got.job_id)
    assert got.job_name


def test_no_nesting_however_deep_is_too_much_to_be_read():
    for depth in range(1, 1200):
        body = '{"group": {"a": ' + "[" * depth + "]" * depth + "}}"

        got = parse(raw(body))

        assert got.job_name and re.fullmatch("[0-9a-f]{16}", got.job_id)
        assert not got.fault or got.values == {}


@pytest.mark.parametrize("attributes", [{"job_name": "../up"}, {"submission": "-1"}], ids=str)
def test_attributes_that_would_lead_elsewhere_are_not_taken(attributes):
    got = parse(raw({"group": {"x": 1}}, **attributes))

    assert "/" not in got.job_name
    assert got.submission == 1
