"""SQS and S3 at constant cost, for what an emulator of AWS is too slow or too kind for.

`Stub` takes messages and never returns them, and keeps objects in memory. It can refuse, throttle,
or end the connection. In a thread of a test: `with serving() as stub`. As a process of a benchmark:
`python benchmarks/aws_stub.py SECONDS_ADDED_TO_EACH_REQUEST` prints its URL and ends when its
standard input does. `made_up_s3` drops what clients send and makes up what they request.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import resource
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import stub_server
from benchmarks.stub_server import (
    DATE,
    PAGE,
    Answer,
    Request,
    answered,
    listing,
    xml,
    xml_error,
)

BUCKET = "bucket"
_JSON = "application/x-amz-json-1.0"
_WRITTEN = "2026-01-01T00:00:00.000Z"


@dataclass
class Call:
    """One request; a fault may change its outcome."""

    operation: str
    number: int
    entries: list[dict[str, Any]] = field(default_factory=list)
    # Answer this HTTP status and error code instead of doing anything.
    status: int = 200
    code: str = ""
    # SQS entries to refuse: index -> (code, whether it is the sender's fault).
    refuse: dict[int, tuple[str, bool]] = field(default_factory=dict)
    # End the connection "before" the request is done or "after" it.
    drop: str = ""


Fault = Callable[[Call], None]


class Stub:
    """The messages and objects so far; `fault` sees every call before it is done."""

    def __init__(self, fault: Fault | None = None, keep: bool = True) -> None:
        self.fault, self.keep = fault, keep
        self.url = ""
        self.connections: Collection[object] = ()  # those that are open
        self.messages: list[dict[str, Any]] = []
        self.sent: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.objects: dict[str, bytes] = {}

    def names(self) -> list[str]:
        """Return the names of the jobs in the queue, in the order in which SQS took them."""
        return [m["MessageAttributes"]["job_name"]["StringValue"] for m in self.messages]

    def answer(self, request: Request) -> Answer:
        """Answer a request, as the fault lets it go."""
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        address = urlsplit(request.target)
        query = parse_qs(address.query)
        operation = operation or ("LIST" if "list-type" in query else request.method)
        self.calls[operation] += 1
        call = Call(operation, self.calls[operation])
        sqs = json.loads(request.body) if operation.startswith("SendMessage") else {}
        if sqs:
            call.entries = sqs.get("Entries") or [{**sqs, "Id": "0"}]
        if self.fault:
            self.fault(call)
        if call.drop == "before":
            return None
        if call.status != 200 and sqs:
            error = {"__type": f"com.amazonaws.sqs#{call.code}", "message": call.code}
            answer = answered(json.dumps(error).encode(), _JSON, call.status)
        elif call.status != 200:
            answer = xml_error(call.status, call.code)
        elif sqs:
            answer = self._take(call)
        else:
            answer = self._s3(operation, unquote(address.path), query, request)
        return None if call.drop == "after" else (answer, 0)

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
        one = call.operation == "SendMessage"
        content = taken[0] if one else {"Successful": taken, "Failed": failed}
        return answered(json.dumps(content).encode(), _JSON)

    def _s3(self, operation: str, key: str, query: dict[str, list[str]], request: Request) -> bytes:
        if operation == "LIST":
            return self._list(key.strip("/"), query)
        if key == "/stats":
            return self._stats()
        now = self.objects.get(key)
        if operation == "PUT":
            absent = request.headers.get("if-none-match")
            same = request.headers.get("if-match")
            if (absent and now is not None) or (same and (now is None or same != _etag(now))):
                return xml_error(412, "PreconditionFailed")
            self.objects[key] = bytes(request.body)
            return answered(b"", headers={"ETag": _etag(request.body)})
        if operation == "DELETE":
            self.objects.pop(key, None)
            return answered(b"", status=204)
        if now is None:
            return xml_error(404, "NoSuchKey")
        return answered(now, "application/octet-stream", headers={"ETag": _etag(now)})

    def _stats(self) -> bytes:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        counts = {
            "jobs": len(self.sent),
            "messages": sum(self.sent.values()),
            "calls": self.calls,
            "cpu": usage.ru_utime + usage.ru_stime,
        }
        return answered(json.dumps(counts).encode(), "application/json")

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
        return listing(prefix, ((key, _WRITTEN, 0) for key in shown), sorted(folders))


def _etag(content: bytes | bytearray) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


@contextlib.contextmanager
def serving(fault: Fault | None = None, latency: float = 0, keep: bool = True) -> Iterator[Stub]:
    """Serve a stub on loopback, in a thread of this process, during the block."""
    stub = Stub(fault, keep)
    with stub_server.in_thread(stub.answer, latency) as loop:
        stub.url, stub.connections = loop.url, loop.connections
        yield stub


def made_up_s3(request: Request) -> Answer:
    """Answer for an S3 without state, which has objects of every number and size.

    They are `COUNTxSIZE/0000000` and so on: `10000x20000/` is a prefix of 10,000 objects of 20,000
    bytes. It knows PutObject, multipart uploads, GetObject with ranges, HeadObject, ListObjectsV2
    and what clients ask first.
    """
    address = urlsplit(request.target)
    query = parse_qs(address.query, keep_blank_values=True)
    key = unquote(address.path).lstrip("/").partition("/")[2]
    if request.method == "PUT":
        return answered(b"", headers={"ETag": '"0"'}), 0
    if request.method == "POST":
        where = f"<Bucket>{BUCKET}</Bucket><Key>{key}</Key>"
        if "uploads" in query:
            kind, more = "InitiateMultipartUploadResult", "<UploadId>1</UploadId>"
        else:
            kind, more = "CompleteMultipartUploadResult", "<ETag>&quot;0&quot;</ETag>"
        return xml(f"<{kind}>{where}{more}</{kind}>"), 0
    if request.method in ("GET", "HEAD") and key:
        return _made_up_object(key, request)
    if request.method == "GET" and ("list-type" in query or "prefix" in query):
        return _made_up_listing(query), 0
    return answered(b"", status=204 if request.method == "DELETE" else 200), 0


def _made_up_object(key: str, request: Request) -> Answer:
    size = _shape(key.partition("/")[0])[1]
    if size < 0:
        return answered(b"", status=404), 0
    headers = {"ETag": '"0"', "Last-Modified": DATE, "Accept-Ranges": "bytes"}
    status, length = 200, size
    if wanted := request.headers.get("range"):
        start, _, last = wanted.removeprefix("bytes=").partition("-")
        end = min(int(last) if last else size - 1, size - 1)
        status, length = 206, end - int(start) + 1
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    head = answered(b"", status=status, size=length, headers=headers)
    return head, length if request.method == "GET" else 0


def _shape(folder: str) -> tuple[int, int]:
    """Return count and size of the objects below such a prefix; -1, -1 if there are none."""
    count, x, size = folder.partition("x")
    return (int(count), int(size)) if x and count.isdigit() and size.isdigit() else (-1, -1)


def _made_up_listing(query: dict[str, list[str]]) -> bytes:
    prefix = query.get("prefix", [""])[0]
    folder = prefix.partition("/")[0]
    count, size = _shape(folder)
    begin = int(query.get("continuation-token", ["0"])[0])
    end = min(begin + PAGE, max(count, 0))
    entries = ((f"{folder}/{number:07d}", _WRITTEN, size) for number in range(begin, end))
    return listing(prefix, entries, after=str(end) if end < count else "")


if __name__ == "__main__":
    with serving(latency=float(sys.argv[1]), keep=False) as running:
        print(running.url, flush=True)
        sys.stdin.read()
