from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from plumbing import aws_clients, container, retrying
from plumbing.errors import Interrupted, JobFailed, LeaseLost


def answer(code, status):
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject"
    )


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (answer("SlowDown", 503), True),
        (answer("InternalError", 500), True),
        (answer("503", 503), True),
        (answer("ThrottlingException", 400), True),
        (answer("RequestTimeout", 400), True),
        (answer("ExpiredToken", 400), True),
        (answer("Whatever", 429), True),
        (EndpointConnectionError(endpoint_url="x"), True),
        (ResponseParserError("no element found"), True),
        (ConnectTimeoutError(endpoint_url="x"), True),
        (ReadTimeoutError(endpoint_url="x"), True),
        (answer("AccessDenied", 403), False),
        (answer("NoSuchBucket", 404), False),
        (answer("PreconditionFailed", 412), False),
        (NoCredentialsError(), False),
    ],
    ids=str,
)
def test_what_passes_is_distinguished_from_what_does_not(error, passes):
    assert retrying.passes(error) is passes


def calls_of(errors):
    left = list(errors)

    def call():
        if left:
            raise left.pop(0)
        return "answer"

    return call


def test_a_call_is_repeated_until_it_succeeds_with_longer_and_longer_pauses():
    pauses = []

    result = retrying.persistently(
        calls_of([answer("SlowDown", 503)] * 8),
        "upload",
        lambda: None,
        wait=pauses.append,
        draw=lambda: 1.0,
    )

    assert result == "answer"
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15, 15]


@pytest.mark.parametrize("kind", retrying.PASSING_ERRORS, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_that_passes_is_repeated(kind):
    error = kind.__new__(kind)

    result = retrying.persistently(
        calls_of([error]), "upload", lambda: None, wait=lambda seconds: None
    )

    assert result == "answer"


def test_an_error_for_good_is_not_repeated():
    with pytest.raises(ClientError):
        retrying.persistently(
            calls_of([answer("AccessDenied", 403)]), "upload", lambda: None, wait=pytest.fail
        )


def test_a_check_that_raises_ends_the_repeating():
    checks = iter([None, None, LeaseLost("gone")])

    def check():
        error = next(checks)
        if error:
            raise error

    with pytest.raises(LeaseLost):
        retrying.persistently(
            calls_of([answer("SlowDown", 503)] * 5), "upload", check, wait=lambda seconds: None
        )


def test_after_a_stop_each_step_waits_for_a_request_of_the_one_before():
    """A request that hangs must not take the time for giving the job back."""
    request = aws_clients.CONNECT_SECONDS + aws_clients.ANSWER_SECONDS

    assert retrying.UPLOAD_AFTER_STOP + request <= retrying.MARK_AFTER_STOP
    assert retrying.MARK_AFTER_STOP + request <= retrying.GIVE_BACK_AFTER_STOP
    assert retrying.GIVE_BACK_AFTER_STOP < container.STOP_SECONDS


class Held:
    def check(self):
        pass


class Stop:
    since = None
    reason = "told to stop"


@pytest.mark.parametrize(
    ("since", "now", "error"),
    [
        (None, 99, None),
        (None, 101, JobFailed),
        (50, 60, None),
        (50, 71, Interrupted),
    ],
)
def test_work_goes_on_until_the_deadline_and_a_little_after_a_stop(since, now, error):
    stop = Stop()
    stop.since = since
    guard = retrying.Guard(Held(), stop, deadline=100, after_stop=20, clock=lambda: now)

    if error is None:
        guard.check()
    else:
        with pytest.raises(error):
            guard.check()


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
    pages = list(retrying.list_pages(two_a_page, cloud.bucket, "in/", lambda: None))

    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    assert [entry["Key"] for page in pages for entry in page] == [f"in/é {n}" for n in range(9)]


def test_nothing_below_a_prefix_is_an_empty_page(cloud):
    assert list(retrying.list_pages(cloud.s3, cloud.bucket, "none/", lambda: None)) == [[]]


def test_a_page_that_fails_is_requested_again_and_not_those_before_it(
    cloud, two_a_page, quick_retries
):
    asked = []

    def every_third_fails(**more):
        asked.append(1)
        if len(asked) % 3 == 0:
            raise EndpointConnectionError(endpoint_url="http://aws")

    two_a_page.meta.events.register("before-send.s3", every_third_fails)

    def check():
        assert len(asked) < 30

    pages = list(retrying.list_pages(two_a_page, cloud.bucket, "in/", check))

    assert sum(map(len, pages)) == 9
    assert len(asked) == 7


def test_a_listing_ends_when_it_may_not_go_on(cloud, two_a_page):
    asked = []

    def check():
        asked.append(1)
        if len(asked) > 1:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        list(retrying.list_pages(two_a_page, cloud.bucket, "in/", check))
