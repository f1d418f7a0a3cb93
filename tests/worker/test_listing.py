from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError

from plumbing import listing
from plumbing import retrying as persistence
from plumbing.errors import LeaseLost


@pytest.fixture
def two_a_page(cloud):
    """The test's client, to which S3 lists two objects at a time."""

    def only_two(params, **more):
        params["MaxKeys"] = 2

    cloud.s3.meta.events.register("before-parameter-build.s3.ListObjectsV2", only_two)
    for number in range(9):
        cloud.s3.put_object(Bucket=cloud.bucket, Key=f"in/é {number}", Body=b"x")
    return cloud.s3


def test_all_objects_of_all_pages_are_listed(cloud, two_a_page):
    pages = list(listing.pages(two_a_page, cloud.bucket, "in/", lambda: None))

    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    assert [entry["Key"] for page in pages for entry in page] == [f"in/é {n}" for n in range(9)]


def test_nothing_below_a_prefix_is_an_empty_page(cloud):
    assert list(listing.pages(cloud.s3, cloud.bucket, "none/", lambda: None)) == [[]]


def test_a_page_that_fails_is_asked_for_again_and_not_those_before_it(
    cloud, two_a_page, monkeypatch
):
    monkeypatch.setattr(persistence, "FIRST_PAUSE", 0.0)
    asked = []

    def every_third_fails(**more):
        asked.append(1)
        if len(asked) % 3 == 0:
            raise EndpointConnectionError(endpoint_url="http://aws")

    two_a_page.meta.events.register("before-send.s3", every_third_fails)

    def check():
        assert len(asked) < 30

    pages = list(listing.pages(two_a_page, cloud.bucket, "in/", check))

    assert sum(map(len, pages)) == 9
    assert len(asked) == 7


def test_a_listing_ends_when_it_may_not_go_on(cloud, two_a_page):
    asked = []

    def check():
        asked.append(1)
        if len(asked) > 1:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        list(listing.pages(two_a_page, cloud.bucket, "in/", check))
