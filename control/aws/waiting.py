"""Wait until AWS accepts a request that it refuses only for now."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError

T = TypeVar("T")
Wait = Callable[[float], object]


def until_accepted(
    request: Callable[[], T],
    refused_for_now: Callable[[ClientError], bool],
    wait: Wait,
    seconds: float,
    pause: float = 5.0,
) -> T:
    """Send a request until AWS accepts it, for up to `seconds`, and return its result.

    Raise the last refusal, and at once one that is not `refused_for_now`.
    """
    waited = 0.0
    while True:
        try:
            return request()
        except ClientError as error:
            if not refused_for_now(error) or waited >= seconds:
                raise
        wait(pause)
        waited += pause
