"""Small requests to the two services on the machine itself: instance metadata and the ECS agent."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Mapping, NamedTuple

# No proxy: both addresses are of this machine only.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Answer(NamedTuple):
    status: int
    text: str


def ask(
    method: str,
    url: str,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer | None:
    """The answer, of whatever status; None if there is none within so many seconds."""
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)
    try:
        with _OPENER.open(request, timeout=seconds) as answer:
            return Answer(answer.status, answer.read().decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException):
        return None
