"""Jobs by name, id or a part: the one that is meant, or which there are."""

from __future__ import annotations

import dataclasses
import json

import pytest

from control.errors import ExplainedError, UserError
from control.records import find, store
from control.records.find import Found
from control.verbs import submit

A01, A02, A012 = (
    Found("P1-A01", "00aa0000"),
    Found("P1-A02", "01ab1111"),
    Found("P1-A012", "0cab1111"),
)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("P1-A02", A02),
        ("P1-A01", A01),
        ("p1-a02", A02),
        ("A012", A012),
        ("01ab1111", A02),
        ("00AA00", A01),
    ],
    ids=["name", "a name within another", "capitals", "part", "id", "part of an id"],
)
def test_the_one_that_is_meant(word, meant):
    assert find.choose(word, [A01, A02, A012], "here") == meant


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("P1", "'P1' means 3 jobs of here: P1-A01, P1-A012, P1-A02."),
        ("ab1111", "'ab1111' means 2 jobs of here: P1-A012, P1-A02."),
        ("b", "No job of here has 'b'"),
    ],
)
def test_several_and_none_are_explained(word, what):
    with pytest.raises(UserError, match=what):
        find.choose(word, [A01, A02, A012], "here")


def test_two_jobs_with_one_name_are_distinguished_by_their_ids():
    with pytest.raises(UserError, match=r"x \(id 01\), x \(id 02\)") as error:
        find.choose("x", [Found("x", "02"), Found("x", "01")], "here")
    assert error.value.fix == "Give the id."
    assert find.choose("02", [Found("x", "02"), Found("x", "01")], "here").id == "02"


def test_of_many_the_first_are_named():
    many = [Found(f"n{i:03d}", f"f{i:03d}") for i in range(200)]
    with pytest.raises(UserError, match=r"means 200 jobs.*n009 and 190 more\."):
        find.choose("n", many, "here")


def test_a_job_is_found_in_what_was_submitted(aws, run, tmp_path):
    path = tmp_path / "jobs.json"
    groups = [{"plate": f"P{i}", "name": f"größe.{i}"} for i in range(30)]
    path.write_text(json.dumps({"name": "not-a-job", "groups": groups}), encoding="utf-8")
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    submit.submit(aws, run, submit.read_jobs(path), tmp_path, again=True)
    found = find.in_run(aws.s3, run, "E.7")
    assert found.name == "größe.7"
    assert find.in_run(aws.s3, run, found.id) == found
    assert find.in_run(aws.s3, run, "größe.1").name == "größe.1"
    for word in ("not-a-job", "e[0-9]", "größeX1"):
        with pytest.raises(UserError, match="No job of run"):
            find.in_run(aws.s3, run, word)


def test_earlier_runs_are_found_by_their_id(aws, run):
    later = store.create(aws.s3, dataclasses.replace(run, run_id="20270101T000000Z"))
    assert find.run(aws.s3, run.bucket, "Test", "") == later
    assert find.run(aws.s3, run.bucket, "Test", run.run_id) == run
    with pytest.raises(UserError, match="has no run 2028") as error:
        find.run(aws.s3, run.bucket, "Test", "2028")
    assert later.run_id in error.value.fix
    with pytest.raises(ExplainedError, match="has not been set up"):
        find.run(aws.s3, run.bucket, "Other", "2028")
