"""Small requests to the two services on the machine itself: instance metadata and the ECS agent."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from typing import Mapping, NamedTuple
from urllib.parse import urlsplit

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


def is_reached(url: str, seconds: float) -> bool:
    """Whether anything takes a connection there."""
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 80), seconds):
            return True
    except OSError:
        return False
