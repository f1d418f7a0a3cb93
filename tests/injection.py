"""Faults at the AWS calls of a process, by botocore's events: a break, throttling, a denial, counts
that lag."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import boto3
from botocore.awsrequest import AWSResponse

_READS = ("Describe", "Get", "Head", "List")
# The error of each service for too many requests, and its HTTP status.
_THROTTLED = {
    "ec2": ("RequestLimitExceeded", 503),
    "s3": ("SlowDown", 503),
    "iam": ("Throttling", 400),
    "monitoring": ("Throttling", 400),
    "lambda": ("TooManyRequestsException", 429),
}
_REST_JSON = ("lambda", "scheduler")
_DENIED = {"ec2": "UnauthorizedOperation", "s3": "AccessDenied", "iam": "AccessDenied"}


class Broken(BaseException):
    """The process ends here, as by kill -9: nothing of the program may catch it."""


class Injection:
    """Faults in the calls of all clients that a session makes from now on.

    `calls` are those since the last `watch`, as (service, operation), in their order.
    """

    def __init__(self, session: boto3.Session) -> None:
        self.calls: list[tuple[str, str]] = []
        self._break_after = 0
        self._denied: set[tuple[str, str, int]] | None = None
        self._throttling = False
        self._throttled: set[int] = set()
        self._counts: Iterator[Mapping[str, str]] | None = None
        session.events.register("before-call", self._before_call)
        session.events.register("before-send", self._before_send)
        session.events.register("after-call", self._after_call)

    @contextmanager
    def watch(
        self,
        *,
        break_after: int = 0,
        deny_beside: set[tuple[str, str, int]] | None = None,
        throttle: bool = False,
        counts: Iterator[Mapping[str, str]] | None = None,
    ) -> Iterator[Injection]:
        """Cause faults during the block.

        Raise Broken after the call of this number (from 1), not counting calls that only read,
        because they leave what the call before left. Deny the first call that is not in this set,
        and add it. Throttle the first attempt of every call. Replace SQS's counts by `counts` while
        it has any."""
        self.calls = []
        self._throttled = set()
        self._break_after, self._denied, self._throttling = break_after, deny_beside, throttle
        self._counts = counts
        try:
            yield self
        finally:
            self._break_after, self._denied = 0, None
            self._throttling, self._counts = False, None

    def _before_call(self, model, **_):
        service = model.service_model.signing_name
        self.calls.append((service, model.name))
        call = (service, model.name, self.calls.count((service, model.name)))
        if self._denied is None or call in self._denied:
            return None
        self._denied.add(call)
        self._denied = None
        head = model.http.get("method") == "HEAD"
        code = "403" if head else _DENIED.get(service, "AccessDeniedException")
        response = AWSResponse("https://denied", 403, {}, _Raw(b""))
        # It does not name the call: neither EC2 nor S3 does in its own words.
        error = {"Code": code, "Message": "Forbidden" if head else "You are not authorized."}
        return response, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}

    def _before_send(self, request, event_name, **_):
        number = len(self.calls)
        if not self._throttling or number in self._throttled:
            return None
        self._throttled.add(number)
        service = self.calls[-1][0]
        code, status = _THROTTLED.get(service, ("ThrottlingException", 400))
        headers, body = _error(service, code, dict(request.headers))
        return AWSResponse(request.url, status, headers, _Raw(body))

    def _after_call(self, model, parsed, **_):
        if model.name == "GetQueueAttributes" and self._counts is not None:
            parsed.get("Attributes", {}).update(next(self._counts, {}))
        made = changing(self.calls)
        if len(made) == self._break_after and made[-1:] == self.calls[-1:]:
            raise Broken(f"after call {len(self.calls)}, {model.name}")


def changing(calls: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the calls that can change something."""
    return [call for call in calls if not call[1].startswith(_READS)]


def numbered(calls: Iterable[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Return each call with its number among calls of its kind, from 1, as for `deny_beside`."""
    made: Counter[tuple[str, str]] = Counter()
    found = []
    for call in calls:
        made[call] += 1
        found.append((*call, made[call]))
    return found


class _Raw(io.BytesIO):
    """The part of urllib3's response that botocore uses."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()


def _error(service: str, code: str, request: Mapping[str, object]) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an error in the protocol of the request."""
    if service in _REST_JSON:
        return {"x-amzn-errortype": code}, json.dumps({"message": "Rate exceeded"}).encode()
    sent = {name.lower(): _text(value) for name, value in request.items()}
    if "smithy-protocol" in sent:
        pairs = (("__type", code), ("message", "Rate exceeded"))
        body = b"\xa2" + b"".join(_cbor(word) for pair in pairs for word in pair)
        kind = "application/cbor"
        return {"smithy-protocol": sent["smithy-protocol"], "content-type": kind}, body
    if "x-amz-target" in sent or "json" in sent.get("content-type", ""):
        return {}, json.dumps({"__type": code, "message": "Rate exceeded"}).encode()
    error = f"<Error><Code>{code}</Code><Message>Rate exceeded</Message></Error>"
    if "x-www-form-urlencoded" not in sent.get("content-type", ""):
        return {}, error.encode()  # S3
    if code == _THROTTLED["ec2"][0]:
        return {}, f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>".encode()
    return {}, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _cbor(text: str) -> bytes:
    """Encode a text of up to 255 bytes in CBOR (RFC 8949, section 3.1)."""
    encoded = text.encode()
    return b"\x78" + bytes([len(encoded)]) + encoded


@contextmanager
def untold_fleets(ec2) -> Iterator[None]:
    """Hide all fleets from this client during the block, as EC2 may in the first seconds after a
    request (EC2 API reference, eventual consistency). Other requests about them succeed."""

    def untold(params, **_):
        if not any(name.startswith("SpotFleetRequestId") for name in params["body"]):
            return AWSResponse("https://ec2", 200, {}, _Raw(b"")), {"SpotFleetRequestConfigs": []}
        error = {"Code": "InvalidSpotFleetRequestId.NotFound", "Message": "does not exist"}
        metadata = {"HTTPStatusCode": 400}
        refused = {"Error": error, "ResponseMetadata": metadata}
        return AWSResponse("https://ec2", 400, {}, _Raw(b"")), refused

    names = [f"before-call.ec2.DescribeSpotFleet{what}" for what in ("Requests", "Instances")]
    for name in names:
        ec2.meta.events.register(name, untold, unique_id=name)
    try:
        yield
    finally:
        for name in names:
            ec2.meta.events.unregister(name, unique_id=name)
