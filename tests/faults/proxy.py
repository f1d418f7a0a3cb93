"""A proxy between one container and AWS that breaks calls by a rule, and remembers all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

# How often it looks whether a client that waits for its answer has gone.
LOOK_SECONDS = 0.05
_LIMIT = 1 << 20
# What is listed comes in pages so small that a few objects are several of them.
PAGE = 4


@dataclass
class Call:
    """One request. `text`: of SQS, its body and that of the message that its handle stands for."""

    service: str
    operation: str
    path: str
    number: int
    at: float
    text: str = ""


@dataclass(frozen=True)
class Answer:
    """Instead of asking AWS, answer this status with AWS's code of an error."""

    status: int
    code: str


@dataclass(frozen=True)
class Break:
    """Break the connection "before" AWS gets the request or "after" it has executed it, in the
    middle of the "request" or of the "answer"; or answer "nothing" while the client waits."""

    where: str


class Hold:
    """A call that is held, "before" AWS gets it or "after" it has answered, until it is released.

    `holding` only looks at the answer: whether it is the one to be held.
    """

    def __init__(self, where: str, holding: Callable[[bytes], bool] = lambda answer: True) -> None:
        self.where = where
        self.holding = holding
        self.held = threading.Event()
        self.let_go = threading.Event()
        self.then: Break | None = None

    async def wait(self) -> Break | None:
        """Keep a call; returns what is to become of it."""
        self.held.set()
        while not self.let_go.is_set():
            await asyncio.sleep(LOOK_SECONDS)
        return self.then


Fault = Answer | Break | Hold | None
Rule = Callable[[Call], Fault]


@dataclass
class _Message:
    """A request or an answer of HTTP: its first line, its headers, its body as it came."""

    first: bytes
    headers: dict[str, str]
    lines: list[bytes]
    body: bytes = b""

    def whole(self) -> bytes:
        kept = [line for line in self.lines if not line.lower().startswith(b"expect:")]
        return b"".join([self.first, *kept, b"\r\n", self.body])


@dataclass
class Proxy:
    """A port in front of AWS. `done_record` is called before a done record passes."""

    upstream: tuple[str, int]
    rule: Rule
    done_record: Callable[[str, bytes], None]
    calls: list[Call] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task] = field(default_factory=set)
    _messages: dict[str, str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def operations(self, since: float = 0.0) -> list[str]:
        """Return the operations requested since a moment of time.monotonic()."""
        return [call.operation for call in self.calls if call.at >= since]

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        upstream: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        try:
            while await self._one(reader, writer, upstream):
                continue
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # One side has gone: so does the other.
        finally:
            self._tasks.discard(task)
            for _, other in upstream:
                other.transport.abort()
            writer.transport.abort()

    async def _one(self, reader, writer, upstream) -> bool:
        """Serve one request; return whether the connection stays open."""
        request = await _head(reader)
        if request is None:
            return False
        if request.headers.get("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        call = self._call(request)
        if call.operation == "ListObjectsV2":
            request.first = request.first.replace(b"list-type=2", b"list-type=2&max-keys=%d" % PAGE)
        if call.service == "sqs":
            request.body = await _body(reader, request)
            self._name(call, request.body)
        fault = self.rule(call)
        if fault == Break("request"):
            await reader.read(int(request.headers.get("content-length", 0)) // 2)
            return _reset(writer)
        if call.service == "s3":
            request.body = await _body(reader, request)
        answer = await self._answer(call, request, fault, reader, writer, upstream)
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        return True

    async def _answer(self, call, request, fault, reader, writer, upstream) -> bytes | None:
        """Return the answer for the client, or None if its connection is broken."""
        if isinstance(fault, Answer):
            return _error(call, fault)
        if fault == Break("nothing"):
            while not reader.at_eof():
                await asyncio.sleep(LOOK_SECONDS)
            return None
        if isinstance(fault, Hold) and fault.where == "before":
            fault = await fault.wait()
        if fault == Break("before"):
            return _reset(writer)
        if call.operation == "PutObject" and call.path.endswith(".done.json"):
            await asyncio.to_thread(self.done_record, call.path, request.body)
        answer = await self._ask(request, reader, upstream)
        if answer is None:
            return None
        self._learn(call, answer)
        if isinstance(fault, Hold) and fault.holding(answer.body):
            fault = await fault.wait()
        return await _deliver(answer, fault, writer)

    async def _ask(self, request, reader, upstream) -> _Message | None:
        """AWS's answer; None if the client has gone meanwhile, so that AWS sees that too."""
        if not upstream:
            upstream.append(await asyncio.open_connection(*self.upstream, limit=_LIMIT))
        from_aws, to_aws = upstream[0]
        to_aws.write(request.whole())
        task = asyncio.ensure_future(_read_answer(from_aws, request.first.startswith(b"HEAD")))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK_SECONDS)
                if reader.at_eof() and not task.done():
                    return None
            return task.result()
        finally:
            task.cancel()

    def _call(self, request: _Message) -> Call:
        target = request.headers.get("x-amz-target", "")
        method, address = request.first.decode().split()[:2]
        url = urlsplit(address)
        if target:
            service, operation = "sqs", target.rpartition(".")[2]
        else:
            service, operation = "s3", _s3_operation(method, parse_qs(url.query, True))
        self._numbers[service] = self._numbers.get(service, 0) + 1
        number = self._numbers[service]
        call = Call(service, operation, unquote(url.path), number, time.monotonic())
        self.calls.append(call)
        return call

    def _name(self, call: Call, body: bytes) -> None:
        """Find the message that a call is about."""
        call.text = body.decode()
        handle = json.loads(body).get("ReceiptHandle", "")
        call.text += self._messages.get(handle, "")

    def _learn(self, call: Call, answer: _Message) -> None:
        if call.operation == "ReceiveMessage" and b"ReceiptHandle" in answer.body:
            for message in json.loads(answer.body)["Messages"]:
                self._messages[message["ReceiptHandle"]] = message["Body"]


def _s3_operation(method: str, query: dict[str, list[str]]) -> str:
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    if "uploadId" in query:
        return {"PUT": "UploadPart", "POST": "CompleteMultipartUpload"}.get(method, "Abort")
    if "list-type" in query:
        return "ListObjectsV2"
    return f"{method.capitalize()}Object"


async def _head(reader: asyncio.StreamReader) -> _Message | None:
    try:
        text = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = text[:-2].splitlines(keepends=True)
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return _Message(first, {name.lower(): value.strip() for name, _, value in pairs}, lines)


async def _body(reader: asyncio.StreamReader, message: _Message) -> bytes:
    if "content-length" in message.headers:
        return await reader.readexactly(int(message.headers["content-length"]))
    if message.headers.get("transfer-encoding", "").lower() != "chunked":
        return b""
    pieces = []
    while not pieces or int(pieces[-1].split(b";")[0], 16):
        pieces.append(await reader.readline())
        size = int(pieces[-1].split(b";")[0], 16)
        if size:
            pieces[-1] += await reader.readexactly(size + 2)
    while pieces[-1] != b"\r\n":
        pieces.append(await reader.readline())
    return b"".join(pieces)


async def _read_answer(reader: asyncio.StreamReader, without_body: bool) -> _Message:
    answer = await _head(reader)
    if answer is None:
        raise ConnectionResetError("AWS closed the connection")
    if answer.first.split()[1] == b"100":
        return await _read_answer(reader, without_body)
    if not without_body and answer.first.split()[1] not in (b"204", b"304"):
        answer.body = await _body(reader, answer)
    return answer


async def _deliver(answer: _Message, fault: Fault, writer) -> bytes | None:
    whole = answer.whole()
    if fault == Break("after"):
        return _reset(writer)
    if fault == Break("answer"):
        writer.write(whole[: len(whole) - len(answer.body) // 2 - 1])
        await writer.drain()
        return _reset(writer)
    return whole


def _error(call: Call, fault: Answer) -> bytes:
    if call.service == "sqs":
        kind = "application/x-amz-json-1.0"
        body = json.dumps({"__type": f"com.amazonaws.sqs#{fault.code}", "message": "by the test"})
    else:
        kind = "application/xml"
        body = f"<Error><Code>{fault.code}</Code><Message>by the test</Message></Error>"
    if call.operation == "HeadObject":
        body = ""
    head = f"HTTP/1.1 {fault.status} By the test\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection as a machine does that has lost it: by RST."""
    with contextlib.suppress(OSError):
        linger = struct.pack("ii", 1, 0)
        connection = writer.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
