from __future__ import annotations

from pathlib import Path

import pytest

from plumbing import paths
from plumbing.errors import JobFailed


@pytest.mark.parametrize(
    ("prefix", "place"),
    [("out/A1", "out/A1"), ("/out//A1/", "out/A1"), ("a b/ü", "a b/ü"), (Path("x/y"), "x/y")],
)
def test_an_output_prefix_has_no_slashes_at_its_ends(prefix, place):
    assert paths.output_place(prefix, beside_records=True) == place


@pytest.mark.parametrize("prefix", ["", "/", "out/../..", "./x", None, 7])
def test_a_prefix_that_leads_elsewhere_fails_the_job(prefix):
    with pytest.raises(JobFailed):
        paths.output_place(prefix, beside_records=False)


@pytest.mark.parametrize("prefix", ["runs/App/R1/records", "/runs//x", "runs"])
def test_outputs_are_never_put_among_the_records(prefix):
    with pytest.raises(JobFailed, match="for the records"):
        paths.output_place(prefix, beside_records=True)
    assert paths.output_place(prefix, beside_records=False)


def test_what_only_begins_like_the_records_is_a_place():
    assert paths.output_place("runs2/A1", beside_records=True) == "runs2/A1"


@pytest.mark.parametrize("relative", ["", "/", "../x", "a/../../x", "."])
def test_no_key_leads_out_of_the_folder(relative, tmp_path):
    with pytest.raises(JobFailed):
        paths.inside(tmp_path, relative)


def test_a_file_name_that_is_no_utf8_still_makes_a_key(tmp_path):
    path = tmp_path / "a" / b"b\xff".decode("utf-8", "surrogateescape")

    assert paths.key_of(path, tmp_path) == "a/b?"
