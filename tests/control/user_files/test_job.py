"""A job: its canonical body, its id and its name (contract 2)."""

import hashlib
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from control.user_files.job import job_name, make_job, without_comments

json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=5,
)


def test_the_body_is_canonical_and_the_id_is_of_its_hash():
    job = make_job({"b": "ü", "a": 1}, {"z": [1, 2], "c": None}, "line 1")
    assert job.body == '{"a":1,"b":"ü","group":{"c":null,"z":[1,2]}}'
    assert job.id == hashlib.sha256(job.body.encode()).hexdigest()[:16]
    assert job.where == "line 1"


def test_the_order_of_keys_makes_no_other_job():
    one = make_job({"a": 1, "b": 2}, {"x": 1, "y": 2}, "")
    other = make_job({"b": 2, "a": 1}, {"y": 2, "x": 1}, "")
    assert (one.id, one.body) == (other.id, other.body)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ({"well": "A01", "site": 3}, "A01-3"),
        ({"well": "A01", "name": "mine"}, "mine"),
        ({"name": "", "well": "A01"}, "-A01"),
        ({"name": 7}, "7"),
        ({"a": True, "b": None, "c": 1.5}, "True-None-1.5"),
        ({"a": [1, "x"], "b": {"k": "v"}}, "_1,_x_-_k_v_"),
        ({"Metadata": "Plate=P1,Well=A01"}, "Plate=P1,Well=A01"),
        ({"a": "two words/and a slash"}, "two_words_and_a_slash"),
        ({"a": "..", "b": ""}, "-"),
        ({"a": "../../etc"}, "_.._etc"),
        ({"a": "e\u0301"}, "\u00e9"),
        ({"a": "日本"}, "日本"),
        ({"a": "x."}, "x"),
    ],
)
def test_a_job_is_named_by_its_name_or_its_values(group, name):
    assert job_name(group, "0123456789abcdef") == name


def test_a_job_without_any_name_is_named_by_its_id():
    assert job_name({"a": ""}, "0123456789abcdef") == "0123456789abcdef"


def test_a_long_name_is_cut_and_ends_in_the_id():
    name = job_name({"a": "x" * 151}, "0123456789abcdef")
    assert name == "x" * 133 + "-0123456789abcdef"
    assert job_name({"a": "x" * 150}, "0123456789abcdef") == "x" * 150


@given(some.dictionaries(some.text(), json_values, min_size=1))
def test_every_group_gives_a_name_that_is_safe_in_paths(group):
    try:
        job = make_job({}, group, "")
    except UnicodeEncodeError:
        return  # half of a surrogate pair is no text
    assert 0 < len(job.name) <= 150
    assert re.fullmatch(r"[\w.=+@,-]+", job.name)
    assert job.name not in (".", "..") and not job.name.startswith(".")
    assert unicodedata.is_normalized("NFC", job.name)
    assert json.loads(job.body) == {"group": group}


def test_what_json_cannot_hold_is_refused():
    for value in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(ValueError):
            make_job({}, {"a": value}, "")


def test_comments_are_left_out():
    assert without_comments({"_comment": 1, "my_comment2": 2, "a": 3}) == {"a": 3}
