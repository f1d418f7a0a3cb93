#!/usr/bin/env python3
"""An S3 for measuring clients: it throws away what it is sent, and makes up what it is asked for.

It has no state. The bucket holds, unless it is given another content, for every COUNT and SIZE the
objects `COUNTxSIZE/0000000` and so on: `10000x20000/` is a prefix of 10,000 objects of 20,000
bytes. It knows PutObject, multipart uploads, GetObject with ranges, HeadObject, ListObjectsV2 and
whatever else clients ask first.
What is sent is counted and dropped in the kernel (MSG_TRUNC: tcp(7)), so that the server takes
much less CPU than any client; `serving` says how much that was.

Several processes listen on one port, each with its share of the connections.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "bucket"
LARGEST_HEAD = 1 << 16
CHUNK = 4 << 20
PAGE = 1000
_ZEROS = bytes(1 << 20)
DATE = "Mon, 06 Jan 2025 00:00:00 GMT"
_COUNTS = struct.Struct("=QQd")
_EMPTY = b'<?xml version="1.0" encoding="UTF-8"?>\n'

# Of a method, its target and headers: the whole answer, and how many zero bytes follow it.
Answer = Callable[[str, str, dict[bytes, bytes]], tuple[bytes, int]]


@dataclass
class Counts:
    """What the server did: requests, bytes of bodies that it got, CPU seconds."""

    requests: int
    received: int
    cpu: float


@dataclass
class Connection:
    """One client: what came of a head, what is left of a body, what is to be sent."""

    socket: socket.socket
    head: bytes = b""
    body_left: int = 0
    then: bytes = b""
    zeros_left: int = 0
    outgoing: list[memoryview] = field(default_factory=list)


@dataclass
class Server:
    """A running stub."""

    url: str
    _shared: mmap.mmap
    _processes: int

    def counts(self) -> Counts:
        """The sums over all processes, so far."""
        rows = [_COUNTS.unpack_from(self._shared, i * _COUNTS.size) for i in range(self._processes)]
        requests, received, cpu = (sum(column) for column in zip(*rows, strict=True))
        return Counts(int(requests), int(received), cpu)


@contextlib.contextmanager
def serving(processes: int = 1, content: Answer | None = None) -> Iterator[Server]:
    """A stub on loopback for as long as the block runs; `content` makes up other answers."""
    shared = mmap.mmap(-1, mmap.PAGESIZE)
    first = _listen(0)
    port = first.getsockname()[1]
    listeners = [first, *(_listen(port) for _ in range(processes - 1))]
    pids = []
    for index, listener in enumerate(listeners):
        pid = os.fork()
        if pid == 0:
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                _Loop(listener, shared, index * _COUNTS.size, content or answer_to).run()
            finally:
                os._exit(1)
        pids.append(pid)
    for listener in listeners:
        listener.close()
    try:
        yield Server(f"http://127.0.0.1:{port}", shared, processes)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


class _Loop:
    """Serves the connections of one listener."""

    def __init__(
        self, listener: socket.socket, shared: mmap.mmap, offset: int, content: Answer
    ) -> None:
        self._listener, self._content = listener, content
        self._shared, self._offset = shared, offset
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._requests = self._received = 0
        self._buffer = bytearray(CHUNK)

    def run(self) -> None:
        self._poll.register(self._listener.fileno(), select.EPOLLIN)
        while True:
            for number, event in self._poll.poll():
                if number == self._listener.fileno():
                    self._accept()
                else:
                    self._serve(self._connections[number], event)
            counts = (self._requests, self._received, time.process_time())
            _COUNTS.pack_into(self._shared, self._offset, *counts)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            new, _ = self._listener.accept()
            new.setblocking(False)
            new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[new.fileno()] = Connection(new)
            self._poll.register(new.fileno(), select.EPOLLIN)

    def _serve(self, connection: Connection, event: int) -> None:
        try:
            if event & select.EPOLLOUT:
                self._send(connection)
            else:
                self._receive(connection)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        del self._connections[connection.socket.fileno()]
        connection.socket.close()

    def _receive(self, connection: Connection) -> None:
        if connection.body_left:
            self._drop_body(connection)
            return
        data = connection.socket.recv(LARGEST_HEAD)
        if not data:
            raise ConnectionError
        connection.head += data
        self._requests_in(connection)

    def _drop_body(self, connection: Connection) -> None:
        got = connection.socket.recv_into(
            self._buffer, min(connection.body_left, CHUNK), socket.MSG_TRUNC
        )
        if not got:
            raise ConnectionError
        self._received += got
        connection.body_left -= got
        if not connection.body_left:
            self._answer(connection, connection.then, 0)

    def _requests_in(self, connection: Connection) -> None:
        while not connection.body_left and (end := connection.head.find(b"\r\n\r\n")) >= 0:
            head, rest = connection.head[:end], connection.head[end + 4 :]
            method, target, headers = _parse(head)
            self._requests += 1
            size = int(headers.get(b"content-length", 0))
            here = min(size, len(rest))
            connection.head = rest[here:]
            self._received += here
            answer, zeros = self._content(method, target, headers)
            if here < size:
                connection.body_left, connection.then = size - here, answer
                if headers.get(b"expect"):
                    connection.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            self._answer(connection, answer, zeros)

    def _answer(self, connection: Connection, answer: bytes, zeros: int) -> None:
        connection.zeros_left = zeros
        first = answer + _ZEROS[: min(zeros, 1 << 15)]
        connection.zeros_left -= len(first) - len(answer)
        connection.outgoing.append(memoryview(first))
        try:
            self._send(connection)
        except BlockingIOError:
            self._poll.modify(connection.socket.fileno(), select.EPOLLOUT)

    def _send(self, connection: Connection) -> None:
        while connection.outgoing or connection.zeros_left:
            if not connection.outgoing:
                piece = memoryview(_ZEROS)[: min(connection.zeros_left, len(_ZEROS))]
                connection.zeros_left -= len(piece)
                connection.outgoing.append(piece)
            sent = connection.socket.send(connection.outgoing[0])
            left = connection.outgoing[0][sent:]
            connection.outgoing[:1] = [left] if left else []
        self._poll.modify(connection.socket.fileno(), select.EPOLLIN)


def _parse(head: bytes) -> tuple[str, str, dict[bytes, bytes]]:
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.decode("latin-1").split(" ")
    pairs = (line.partition(b":") for line in lines)
    return method, target, {name.lower(): value.strip() for name, _, value in pairs}


def answer_to(method: str, target: str, headers: dict[bytes, bytes]) -> tuple[bytes, int]:
    """The answer to a request, and how many zero bytes follow it."""
    address = urlsplit(target)
    query = parse_qs(address.query, keep_blank_values=True)
    key = unquote(address.path).lstrip("/").partition("/")[2]
    if method == "PUT":
        return http_head(200, 0, 'ETag: "0"'), 0
    if method == "POST":
        return _post(query, key), 0
    if method in ("GET", "HEAD") and key:
        return _get(key, method, headers.get(b"range", b""))
    if method == "GET" and ("list-type" in query or "prefix" in query):
        return xml_answer(_list(query)), 0
    return http_head(204 if method == "DELETE" else 200, 0), 0


def _post(query: dict[str, list[str]], key: str) -> bytes:
    where = f"<Bucket>{BUCKET}</Bucket><Key>{key}</Key>"
    if "uploads" in query:
        kind, more = "InitiateMultipartUploadResult", "<UploadId>1</UploadId>"
    else:
        kind, more = "CompleteMultipartUploadResult", "<ETag>&quot;0&quot;</ETag>"
    return xml_answer(f"<{kind}>{where}{more}</{kind}>")


def _get(key: str, method: str, wanted: bytes) -> tuple[bytes, int]:
    size = _shape(key.partition("/")[0])[1]
    if size < 0:
        return http_head(404, 0), 0
    more = f'ETag: "0"\r\nLast-Modified: {DATE}\r\nAccept-Ranges: bytes'
    if not wanted:
        return http_head(200, size, more), size if method == "GET" else 0
    start, _, last = wanted.decode().removeprefix("bytes=").partition("-")
    end = min(int(last) if last else size - 1, size - 1)
    length = end - int(start) + 1
    content_range = f"Content-Range: bytes {start}-{end}/{size}"
    return http_head(206, length, f"{more}\r\n{content_range}"), length if method == "GET" else 0


def _shape(folder: str) -> tuple[int, int]:
    """Count and size of the objects below such a prefix; -1, -1 if there are none."""
    count, x, size = folder.partition("x")
    return (int(count), int(size)) if x and count.isdigit() and size.isdigit() else (-1, -1)


def _list(query: dict[str, list[str]]) -> str:
    prefix = query.get("prefix", [""])[0]
    folder = prefix.partition("/")[0]
    count, size = _shape(folder)
    begin = int(query.get("continuation-token", ["0"])[0])
    end = min(begin + PAGE, max(count, 0))
    cut = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < count else ""
    content = "".join(
        f"<Contents><Key>{folder}/{number:07d}</Key><Size>{size}</Size>"
        "<LastModified>2025-01-06T00:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(begin, end)
    )
    return (
        f"<ListBucketResult><Name>{BUCKET}</Name><Prefix>{prefix}</Prefix>"
        f"<KeyCount>{end - begin}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
        f"<IsTruncated>{'true' if cut else 'false'}</IsTruncated>{cut}{content}</ListBucketResult>"
    )


def xml_answer(content: str) -> bytes:
    """A whole answer with this XML."""
    body = _EMPTY + content.encode()
    return http_head(200, len(body), "Content-Type: application/xml") + body


def http_head(status: int, size: int, more: str = "") -> bytes:
    """The head of an answer with a body of `size` bytes; `more`: further lines of it."""
    reason = {200: "OK", 204: "No Content", 206: "Partial Content", 404: "Not Found"}[status]
    lines = [f"HTTP/1.1 {status} {reason}", f"Date: {DATE}", "Server: AmazonS3"]
    lines += ["x-amz-request-id: 0", f"Content-Length: {size}", *([more] if more else [])]
    return "\r\n".join([*lines, "", ""]).encode()
