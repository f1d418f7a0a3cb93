"""SQS and S3 that answer in constant time, for what an emulator of AWS is too slow or too kind for.

SQS takes messages and never gives them back; S3 keeps objects in memory. Both can be told to
refuse, throttle, or let the connection die. In a thread of a test: `with serving() as stub`. As
a process of a benchmark: `python benchmarks/aws_stub.py SECONDS_ADDED_TO_EACH_REQUEST`; it
prints its URL and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import resource
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_WRITTEN = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
REASONS = {200: "OK", 404: "Not Found", 412: "Precondition Failed", 503: "Slow Down"}


@dataclass
class Call:
    """One request, for a fault to look at and to change what becomes of it."""

    operation: str
    number: int
    entries: list[dict[str, Any]] = field(default_factory=list)
    # Answer this HTTP status and error code instead of doing anything.
    status: int = 200
    code: str = ""
    # SQS entries to refuse: index -> (code, whether it is the sender's fault).
    refuse: dict[int, tuple[str, bool]] = field(default_factory=dict)
    # Let the connection die "before" the request is done or "after" it.
    drop: str = ""


Fault = Callable[[Call], None]


class Stub:
    """What was sent and stored so far; `fault` sees every call before it is done."""

    def __init__(self, fault: Fault | None = None, latency: float = 0, keep: bool = True) -> None:
        self.fault, self.latency, self.keep = fault, latency, keep
        self.url = ""
        self.messages: list[dict[str, Any]] = []
        self.sent: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.objects: dict[str, bytes] = {}
        self.connections: set[asyncio.Transport] = set()

    def names(self) -> list[str]:
        """The job names in the queue, in the order in which SQS took them."""
        return [m["MessageAttributes"]["job_name"]["StringValue"] for m in self.messages]

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[Call, bytes | None]:
        """The call as it went, and the whole HTTP answer; None lets the connection die."""
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        address = urlsplit(target)
        query = parse_qs(address.query)
        operation = operation or ("LIST" if "list-type" in query else method)
        self.calls[operation] += 1
        call = Call(operation, self.calls[operation])
        request = json.loads(body) if operation.startswith("SendMessage") else {}
        if request:
            call.entries = request.get("Entries") or [{**request, "Id": "0"}]
        if self.fault:
            self.fault(call)
        if call.drop == "before":
            return call, None
        if call.status != 200:
            answer = _error(call.status, call.code, as_json=bool(request))
        elif request:
            answer = self._take(call)
        else:
            answer = self._s3(operation, unquote(address.path), query, headers, body)
        return call, None if call.drop == "after" else answer

    def _take(self, call: Call) -> bytes:
        taken, failed = [], []
        for index, entry in enumerate(call.entries):
            if index in call.refuse:
                code, sender_fault = call.refuse[index]
                failed.append({"Id": entry["Id"], "Code": code, "SenderFault": sender_fault})
                continue
            job_id = entry.get("MessageAttributes", {}).get("job_id", {}).get("StringValue", "?")
            self.sent[job_id] += 1
            if self.keep:
                self.messages.append(entry)
            taken.append({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0"})
        if call.operation == "SendMessage":
            return _http(200, json.dumps(taken[0]).encode(), "application/x-amz-json-1.0")
        content = json.dumps({"Successful": taken, "Failed": failed}).encode()
        return _http(200, content, "application/x-amz-json-1.0")

    def _s3(
        self,
        operation: str,
        key: str,
        query: dict[str, list[str]],
        headers: dict[str, str],
        body: bytes,
    ) -> bytes:
        if operation == "LIST":
            return self._list(key.strip("/"), query)
        if key == "/stats":
            usage = resource.getrusage(resource.RUSAGE_SELF)
            counts = {
                "jobs": len(self.sent),
                "messages": sum(self.sent.values()),
                "calls": self.calls,
                "cpu": usage.ru_utime + usage.ru_stime,
            }
            return _http(200, json.dumps(counts).encode(), "application/json")
        now = self.objects.get(key)
        if operation == "PUT":
            absent, same = headers.get("if-none-match"), headers.get("if-match")
            if (absent and now is not None) or (same and (now is None or same != _etag(now))):
                return _error(412, "PreconditionFailed", as_json=False)
            self.objects[key] = body
            return _http(200, b"", "", etag=_etag(body))
        if operation == "DELETE":
            self.objects.pop(key, None)
            return _http(204, b"", "application/xml")
        if now is None:
            return _error(404, "NoSuchKey", as_json=False)
        return _http(200, now, "application/octet-stream", etag=_etag(now))

    def _list(self, bucket: str, query: dict[str, list[str]]) -> bytes:
        prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
        start = len(bucket) + 2
        keys = sorted(k[start:] for k in self.objects if k.startswith(f"/{bucket}/{prefix}"))
        folders = {
            prefix + k[len(prefix) :].split(delimiter)[0] + delimiter
            for k in keys
            if delimiter and delimiter in k[len(prefix) :]
        }
        shown = [k for k in keys if not any(k.startswith(f) for f in folders)]
        content = "".join(f"<Contents><Key>{escape(k)}</Key>{_WRITTEN}</Contents>" for k in shown)
        content += "".join(
            f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>"
            for f in sorted(folders)
        )
        result = f"<ListBucketResult><IsTruncated>false</IsTruncated>{content}</ListBucketResult>"
        return _http(200, result.encode(), "application/xml")


class _Connection(asyncio.Protocol):
    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._data = b""
        self._continued = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._stub.connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._stub.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            first, *lines = self._data[:end].decode("latin-1").split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
            if headers.get("expect") and not self._continued:
                self._continued = True
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            whole = end + 4 + int(headers.get("content-length", 0))
            if len(self._data) < whole:
                return
            body, self._data = self._data[end + 4 : whole], self._data[whole:]
            self._continued = False
            method, target, _ = first.split(" ")
            self._reply(*self._stub.answer(method, target, headers, body))

    def _reply(self, call: Call, answer: bytes | None) -> None:
        if answer is None:
            self._transport.abort()
        elif self._stub.latency:
            asyncio.get_running_loop().call_later(self._stub.latency, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _error(status: int, code: str, *, as_json: bool) -> bytes:
    if as_json:
        content = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": code})
        return _http(status, content.encode(), "application/x-amz-json-1.0")
    content = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return _http(status, content.encode(), "application/xml")


def _http(status: int, content: bytes, kind: str, etag: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Refused')}", f"Content-Type: {kind}"]
    lines += [f"Content-Length: {len(content)}"] + ([f"ETag: {etag}"] if etag else [])
    return "\r\n".join([*lines, "", ""]).encode() + content


async def _listen(stub: Stub) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(stub), "127.0.0.1", 0)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return server


async def _end(server: asyncio.Server, stub: Stub) -> None:
    server.close()
    for connection in list(stub.connections):
        connection.abort()
    await asyncio.sleep(0)


@contextlib.contextmanager
def serving(fault: Fault | None = None, latency: float = 0) -> Iterator[Stub]:
    """A stub that listens on loopback, in a thread of this process."""
    stub = Stub(fault, latency)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(_listen(stub))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield stub
    finally:
        asyncio.run_coroutine_threadsafe(_end(server, stub), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve_until_stdin_ends(latency: float) -> None:
    stub = Stub(latency=latency, keep=False)
    async with await _listen(stub):
        print(stub.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve_until_stdin_ends(float(sys.argv[1])))
