"""Retry requests to AWS until the job's time is over.

Hours of computing are never thrown away for a throttled upload. Unlike botocore's own retries,
these call `check` before each retry.
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Iterator, TypeVar

from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import (
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
)
from botocore.parsers import ResponseParserError

from plumbing.aws_clients import AWS_ERRORS, SECONDS_OF_A_REQUEST, code_of, status_of
from plumbing.console import say
from plumbing.errors import Interrupted, JobFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plumbing.lease import Lease
    from plumbing.stop_flag import StopFlag

Result = TypeVar("Result")

# Error codes with a status below 500 that may not come again.
PASSING_CODES = {
    *("BadDigest", "ConditionalRequestConflict", "ExpiredToken", "ExpiredTokenException"),
    *("IncompleteBody", "KmsThrottled", "OperationAborted", "OverLimit", "RequestExpired"),
    *("RequestThrottled", "RequestThrottledException", "RequestTimeTooSkewed", "RequestTimeout"),
    *("SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"),
}
PASSING_ERRORS = (
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoConnectionError,
    ResponseParserError,
)
# "Internal server error", "bad gateway", "gateway timeout": the request may have been executed.
_UNCERTAIN = (500, 502, 504)
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
# A stopped container is killed after stopTimeout (110 s). Before that an upload may finish, then
# the outcome is written, then a last slow request may return. An interrupted job is given back even
# after that: S3 may be down, and another machine can have the job. Between the steps there is time
# for a request without an answer, so that the mark is tried after uploads have hung, and the job is
# given back after the mark has.
UPLOAD_AFTER_STOP = 40.0
MARK_AFTER_STOP = UPLOAD_AFTER_STOP + SECONDS_OF_A_REQUEST
SETTLE_AFTER_STOP = 80.0
GIVE_BACK_AFTER_STOP = MARK_AFTER_STOP + SECONDS_OF_A_REQUEST


def passes(error: BaseException) -> bool:
    """Return whether the same call may succeed later."""
    if isinstance(error, PASSING_ERRORS):
        return True
    status = status_of(error)
    return status >= 500 or status == 429 or code_of(error) in PASSING_CODES


def may_have_arrived(error: BaseException) -> bool:
    """Return whether AWS may have executed the request although there is no good answer."""
    lost = (HTTPClientError, IncompleteReadError, ResponseParserError)
    return isinstance(error, lost) or status_of(error) in _UNCERTAIN


class Guard:
    """The limits of work on a job: checked before everything that leaves a trace.

    Work may continue until the `deadline`, and until `after_stop` seconds after a stop.
    """

    def __init__(
        self,
        lease: Lease,
        stop: StopFlag,
        deadline: float,
        after_stop: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease = lease
        self._stop = stop
        self._deadline = deadline
        self._after_stop = after_stop
        self._clock = clock

    def check(self) -> None:
        """Raise LeaseLost, Interrupted, or JobFailed if the job's time is over."""
        self._lease.check()
        now = self._clock()
        if self._stop.since is not None and now > self._stop.since + self._after_stop:
            raise Interrupted(self._stop.reason)
        if now > self._deadline:
            reason = "no successful answer from AWS until the job's time was over"
            raise JobFailed(reason, cause="aws_unavailable")


def persistently(
    call: Callable[[], Result],
    what: str,
    check: Callable[[], None],
    wait: Callable[[float], object] = time.sleep,
    draw: Callable[[], float] = random.random,
) -> Result:
    """Return call(), retried while its errors may pass and `check` does not raise.

    Pauses double from FIRST_PAUSE to LONGEST_PAUSE seconds; each is drawn at random between half
    and all of that, so that many machines do not retry at the same moment. `what` is for the log.
    """
    pause = FIRST_PAUSE
    while True:
        check()
        try:
            return call()
        except AWS_ERRORS as error:
            if not passes(error):
                raise
            say(f"{what}: retrying after: {error}")
        wait(pause * (0.5 + draw() / 2))
        pause = min(2 * pause, LONGEST_PAUSE)


def list_pages(
    s3: S3Client, bucket: str, prefix: str, check: Callable[[], None]
) -> Iterator[list[Any]]:
    """Yield the objects below `prefix`, up to 1,000 at a time (ListObjectsV2).

    Each page is retried by itself: started over after every error, a listing of many pages would
    never end while one request in three fails.
    """
    request = partial(s3.list_objects_v2, Bucket=bucket, Prefix=prefix)
    what = f"listing s3://{bucket}/{prefix}"
    answer = persistently(request, what, check)
    yield answer.get("Contents", [])
    while answer.get("IsTruncated"):
        next_page = partial(request, ContinuationToken=answer["NextContinuationToken"])
        answer = persistently(next_page, what, check)
        yield answer.get("Contents", [])
