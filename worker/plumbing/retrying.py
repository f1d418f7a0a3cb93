"""How long AWS is asked again: for as long as the job's time allows.

Hours of computing are never thrown away for a throttled upload. And no request is repeated
without being allowed anew, as botocore would do it.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Callable, TypeVar

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
    from plumbing.lease import Lease
    from plumbing.stop_flag import Flag

Result = TypeVar("Result")

# Of answers below 500: what the same request may get a better answer to.
PASSING_CODES = {
    "BadDigest",
    "ConditionalRequestConflict",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteBody",
    "KmsThrottled",
    "OperationAborted",
    "OverLimit",
    "RequestExpired",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
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
# "Internal server error", "bad gateway", "gateway timeout": what was behind may have done it.
_UNCERTAIN = (500, 502, 504)
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
# A stopped container is killed after stopTimeout (110 s). Within that an upload that is under way
# may be finished, then what became of the job is written, then a last slow request may return. An
# interrupted job is given back after that too: S3 may be out, and another machine can have it.
# From one to the next there is time for a request that gets no answer, so that a mark is tried
# after uploads have hung, and the job is given back after the mark has.
UPLOAD_AFTER_STOP = 40.0
MARK_AFTER_STOP = UPLOAD_AFTER_STOP + SECONDS_OF_A_REQUEST
SETTLE_AFTER_STOP = 80.0
GIVE_BACK_AFTER_STOP = MARK_AFTER_STOP + SECONDS_OF_A_REQUEST


def passes(error: BaseException) -> bool:
    """Whether the same call may well succeed later."""
    if isinstance(error, PASSING_ERRORS):
        return True
    status = status_of(error)
    return status >= 500 or status == 429 or code_of(error) in PASSING_CODES


def may_have_arrived(error: BaseException) -> bool:
    """Whether AWS may have done what was asked, though no answer says so."""
    lost = (HTTPClientError, IncompleteReadError, ResponseParserError)
    return isinstance(error, lost) or status_of(error) in _UNCERTAIN


class Guard:
    """Whether work on a job may go on: asked before everything that leaves a trace.

    It may until the `deadline`, and until `after_stop` seconds after a stop.
    """

    def __init__(
        self,
        lease: Lease,
        stop: Flag,
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
        """Raises LeaseLost, Interrupted or JobFailed (out of time, after a stop or without)."""
        self._lease.check()
        now = self._clock()
        if self._stop.since is not None and now > self._stop.since + self._after_stop:
            raise Interrupted(self._stop.reason)
        if now > self._deadline:
            raise JobFailed("out of time: AWS did not answer well until the job's time was over")


def persistently(
    call: Callable[[], Result],
    what: str,
    check: Callable[[], None],
    wait: Callable[[float], object] = time.sleep,
    draw: Callable[[], float] = random.random,
) -> Result:
    """`call()`, again and again while its errors are ones that pass and `check` does not raise.

    Pauses double from FIRST_PAUSE to LONGEST_PAUSE seconds and are drawn at random between half
    and all of that, so that many machines do not come back at one moment. `what` is for the log.
    """
    pause = FIRST_PAUSE
    while True:
        check()
        try:
            return call()
        except AWS_ERRORS as error:
            if not passes(error):
                raise
            say(f"{what}: trying again after: {error}")
        wait(pause * (0.5 + draw() / 2))
        pause = min(2 * pause, LONGEST_PAUSE)
