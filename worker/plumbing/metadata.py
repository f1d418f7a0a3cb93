"""The instance metadata service, version 2: who this machine is, and whether it will be taken.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from __future__ import annotations

import json
import socket
import time
from typing import Callable, Mapping

from plumbing import web
from plumbing.machine import Identity

ADDRESS = "http://169.254.169.254"
# Seconds that a token is good for; the most that the service gives is 21600.
_TOKEN_SECONDS = 21_600
_TOKEN_RENEWAL = 3600.0
# The service answers in milliseconds; outside EC2 its address may swallow requests, and nobody is
# to wait for that for long.
_ANSWER_SECONDS = 1.0


class Metadata:
    """Asks the service; where there is none it is asked once, and never again."""

    def __init__(
        self, environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        endpoint = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or ADDRESS
        self._endpoint = endpoint.rstrip("/")
        self._clock = clock
        self._token = ""
        self._token_from = 0.0
        # Why there is none, for people; "" if there is.
        self.trouble = ""
        self.disabled = environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        if self.disabled:
            self.trouble = "instance metadata is switched off by AWS_EC2_METADATA_DISABLED"
        else:
            self.trouble = self._renew_token()
        self.there = not self.trouble

    def identity(self) -> Identity:
        """This machine's instance id and type; its host name outside EC2."""
        name = self._get("instance-id") if self.there else None
        if name is None:
            return Identity(socket.gethostname())
        return Identity(name, self._get("instance-type") or "")

    def role(self) -> str:
        """The name of the machine's role; "" if it has none.

        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
        """
        names = self._get("iam/security-credentials/") if self.there else None
        return (names or "").strip().partition("\n")[0]

    def interruption(self) -> str:
        """What the spot interruption notice says; "" while there is none.

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
        answer = web.ask("GET", url, _ANSWER_SECONDS, {"X-aws-ec2-metadata-token": self._token})
        if answer is None or answer.status != 200:
            if answer is not None and answer.status == 401:
                self._renew_token()
            return None
        return answer.text

    def _renew_token(self) -> str:
        """Get a token; returns why there is none, "" if there is."""
        if not web.is_reached(self._endpoint, _ANSWER_SECONDS):
            return f"no instance metadata answers at {self._endpoint}: this is not EC2"
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        answer = web.ask("PUT", f"{self._endpoint}/latest/api/token", _ANSWER_SECONDS, headers)
        if answer is None:
            # The packets of the answer may pass fewer hops than those of the connection.
            return (
                f"instance metadata at {self._endpoint} gives no token in time: in a container "
                "that takes a hop limit of 2 (HttpPutResponseHopLimit)"
            )
        if answer.status != 200:
            return f"instance metadata at {self._endpoint} refuses a token: status {answer.status}"
        self._token = answer.text
        self._token_from = self._clock()
        return ""
