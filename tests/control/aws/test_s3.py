"""Listings of many keys: as botocore has them, and nothing of other listings is touched."""

from __future__ import annotations

import pytest

from control.aws.s3 import list_entries, list_pages
from tests.conftest import BUCKET

STRANGE = ["a/1.done.json", "a/ü b+c&d<\"x'%2F.json", "a/%20", "a/new\nline", "a/+", "a/b/c"]


@pytest.fixture
def s3(aws):
    for key in [*STRANGE, "b/1"]:
        aws.s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    return aws.s3


def test_keys_and_times_are_those_of_botocore(s3):
    theirs = s3.list_objects_v2(Bucket=BUCKET, Prefix="a/")["Contents"]
    ours = list(list_entries(s3, BUCKET, "a/"))
    assert [e.key for e in ours] == [e["Key"] for e in theirs]
    assert sorted(e.key for e in ours) == sorted(STRANGE)
    shown = [e["LastModified"].strftime("%Y-%m-%dT%H:%M:%S") for e in theirs]
    assert [e.written[:19] for e in ours] == shown


def test_a_listing_goes_on_over_all_pages(s3, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "4")
    found = list(list_pages(s3, BUCKET, "a/"))
    assert [len(page) for page, _ in found] == [4, 2]
    assert [more for _, more in found] == [True, False]
    assert {e.key for page, _ in found for e in page} == set(STRANGE)


def test_nothing_under_the_prefix(s3):
    assert list(list_pages(s3, BUCKET, "none/")) == [([], False)]


def test_other_listings_of_the_same_client_stay_botocores(s3):
    pages = list_pages(s3, BUCKET, "a/")
    next(pages)
    answer = s3.list_objects_v2(Bucket=BUCKET, Prefix="b/")
    assert [e["Size"] for e in answer["Contents"]] == [0]


def test_a_refusal_is_botocores_error(s3):
    with pytest.raises(s3.exceptions.NoSuchBucket):
        list(list_entries(s3, "no-such-bucket", ""))
