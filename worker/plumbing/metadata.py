"""The instance metadata service (IMDSv2): this machine's identity and its interruption notice.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from typing import Callable, Mapping, NamedTuple
from urllib.parse import urlsplit

from plumbing.machine import Identity

ADDRESS = "http://169.254.169.254"
# Seconds that a token is valid; the service allows at most 21600.
_TOKEN_SECONDS = 21_600
_TOKEN_RENEWAL = 3600.0
# The service answers in milliseconds; outside EC2 its address may swallow requests.
_ANSWER_SECONDS = 1.0
# No proxy: all addresses here are on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Metadata:
    """The service's client; where there is no service it tries once, and never again."""

    def __init__(
        self, environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        endpoint = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or ADDRESS
        self._endpoint = endpoint.rstrip("/")
        self._clock = clock
        self._token = ""
        self._token_from = 0.0
        # Why there is no service, for people; "" if there is one.
        self.trouble = ""
        self.disabled = environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        if self.disabled:
            self.trouble = "instance metadata is switched off by AWS_EC2_METADATA_DISABLED"
        else:
            self.trouble = self._renew_token()
        self.there = not self.trouble

    def identity(self) -> Identity:
        """Return this machine's instance id and type; its host name outside EC2."""
        name = self._get("instance-id") if self.there else None
        if name is None:
            return Identity(socket.gethostname())
        return Identity(name, self._get("instance-type") or "")

    def role(self) -> str:
        """Return the name of the machine's role; "" if it has none.

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
        """
        names = self._get("iam/security-credentials/") if self.there else None
        return (names or "").strip().partition("\n")[0]

    def interruption(self) -> str:
        """Return the spot interruption notice in words; "" while there is none.

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
        """
        notice = self._get("spot/instance-action") if self.there else None
        if notice is None:
            return ""
        try:
            content = json.loads(notice)
            return f"spot interruption: {content['action']} at {content['time']}"
        except (ValueError, KeyError, TypeError):
            return f"spot interruption: {notice[:100]}"

    def _get(self, path: str) -> str | None:
        if self._clock() > self._token_from + _TOKEN_RENEWAL:
            self._renew_token()
        url = f"{self._endpoint}/latest/meta-data/{path}"
        answer = ask("GET", url, _ANSWER_SECONDS, {"X-aws-ec2-metadata-token": self._token})
        if answer is None or answer.status != 200:
            if answer is not None and answer.status == 401:
                self._renew_token()
            return None
        return answer.text

    def _renew_token(self) -> str:
        """Get a token; return why there is none, "" if there is."""
        if not is_reached(self._endpoint, _ANSWER_SECONDS):
            return f"no instance metadata answers at {self._endpoint}: this is not EC2"
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        answer = ask("PUT", f"{self._endpoint}/latest/api/token", _ANSWER_SECONDS, headers)
        if answer is None:
            # The answer may pass fewer hops than the packets of the connection.
            return (
                f"instance metadata at {self._endpoint} gives no token in time: a container needs "
                "a hop limit of 2 (HttpPutResponseHopLimit)"
            )
        if answer.status != 200:
            return f"instance metadata at {self._endpoint} refuses a token: status {answer.status}"
        self._token = answer.text
        self._token_from = self._clock()
        return ""


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
    """Return the answer of a service on this machine, with any status; None without one in time."""
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
    """Return whether a service accepts connections there."""
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 80), seconds):
            return True
    except OSError:
        return False
