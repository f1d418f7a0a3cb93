"""An HTTP server on loopback that is never the limit; a function makes up its answers.

Bodies of requests are counted and, unless the answers need them, dropped in the kernel (MSG_TRUNC:
tcp(7)), so that the server takes much less CPU than any client. It runs in a thread, or in several
processes that listen on one port, each with its share of the connections.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import mmap
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

LARGEST_HEAD = 1 << 16
CHUNK = 4 << 20
PAGE = 1000  # keys of a listing
DATE = "Mon, 06 Jan 2025 00:00:00 GMT"
REASONS = {
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    404: "Not Found",
    412: "Precondition Failed",
    503: "Slow Down",
}
_ZEROS = bytes(1 << 20)
_COUNTS = struct.Struct("=QQd")
_DROP = socket.MSG_TRUNC if sys.platform == "linux" else 0


@dataclass
class Request:
    """A request; names of headers are in lower case. `body` is empty if bodies are dropped."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)


# The whole answer and how many zero bytes follow it; None ends the connection without an answer.
Answer = tuple[bytes, int] | None
Content = Callable[[Request], Answer]


@dataclass
class Counts:
    """The work of the server: requests, bytes of bodies received, CPU seconds."""

    requests: int
    received: int
    cpu: float


@dataclass
class Server:
    """A running server with processes of its own."""

    url: str
    _shared: mmap.mmap
    _processes: int

    def counts(self) -> Counts:
        """Return the sums over all processes so far."""
        rows = [_COUNTS.unpack_from(self._shared, i * _COUNTS.size) for i in range(self._processes)]
        requests, received, cpu = (sum(column) for column in zip(*rows, strict=True))
        return Counts(int(requests), int(received), cpu)


@contextlib.contextmanager
def in_processes(content: Content, processes: int = 1) -> Iterator[Server]:
    """Serve in processes of its own during the block, without the bodies of requests."""
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
                Loop(listener, content, shared=shared, offset=index * _COUNTS.size).run()
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


@contextlib.contextmanager
def in_thread(content: Content, latency: float = 0.0) -> Iterator[Loop]:
    """Serve in a thread during the block, each answer `latency` seconds late."""
    listener = _listen(0)
    loop = Loop(listener, content, keep_bodies=True, latency=latency)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield loop
    finally:
        loop.stop()
        thread.join()
        listener.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


@dataclass(eq=False)
class _Connection:
    socket: socket.socket
    unread: bytearray = field(default_factory=bytearray)
    request: Request | None = None
    body_left: int = 0
    outgoing: list[memoryview] = field(default_factory=list)
    zeros_left: int = 0
    sending: bool = False


class Loop:
    """Serves the connections of one listener."""

    def __init__(
        self,
        listener: socket.socket,
        content: Content,
        *,
        keep_bodies: bool = False,
        latency: float = 0.0,
        shared: mmap.mmap | None = None,
        offset: int = 0,
    ) -> None:
        self._listener, self._content = listener, content
        self._keep_bodies, self._latency = keep_bodies, latency
        self._shared, self._offset = shared, offset
        self._selector = selectors.DefaultSelector()
        self._waker, self._wake = socket.socketpair()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.connections: set[_Connection] = set()
        self._late: list[tuple[float, int, _Connection, tuple[bytes, int]]] = []
        self._numbers = itertools.count()
        self._requests = self._received = 0
        self._buffer = bytearray(CHUNK)

    def run(self) -> None:
        """Serve until `stop`, or until the content raises."""
        try:
            while self._turn():
                continue
        finally:
            for connection in list(self.connections):
                self._close(connection)
            self._selector.close()
            self._wake.close()

    def _turn(self) -> bool:
        """Do what is due; return False after `stop`."""
        going = True
        wait = max(0.0, self._late[0][0] - time.monotonic()) if self._late else None
        for key, events in self._selector.select(wait):
            if key.data is not None:
                step = self._send if events & selectors.EVENT_WRITE else self._receive
                self._do(step, key.data)
            elif key.fileobj is self._listener:
                self._accept()
            else:
                going = False
        while self._late and self._late[0][0] <= time.monotonic():
            _, _, connection, answer = heapq.heappop(self._late)
            self._do(self._begin, connection, *answer)
        if self._shared:
            counts = (self._requests, self._received, time.process_time())
            _COUNTS.pack_into(self._shared, self._offset, *counts)
        return going

    def stop(self) -> None:
        """Make `run` return; call this from another thread."""
        # Its other end becomes readable.
        self._waker.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            new, _ = self._listener.accept()
            new.setblocking(False)
            new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(new)
            self.connections.add(connection)
            self._selector.register(new, selectors.EVENT_READ, connection)

    def _do(self, step: Callable[..., None], connection: _Connection, *more: object) -> None:
        try:
            if connection in self.connections:
                step(connection, *more)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)

    def _close(self, connection: _Connection) -> None:
        self.connections.discard(connection)
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _receive(self, connection: _Connection) -> None:
        if connection.body_left and not self._keep_bodies:
            most = min(connection.body_left, CHUNK)
            size = connection.socket.recv_into(self._buffer, most, _DROP)
            connection.body_left -= size
            self._received += size
        else:
            data = connection.socket.recv(CHUNK if connection.body_left else LARGEST_HEAD)
            connection.unread += data
            size = len(data)
        if not size:
            raise ConnectionError
        while self._take(connection):
            continue

    def _take(self, connection: _Connection) -> bool:
        """Take the next part of a request; return whether it is complete and answered."""
        unread = connection.unread
        if connection.request is None:
            end = unread.find(b"\r\n\r\n")
            if end < 0:
                return False
            connection.request = _parse(unread[:end])
            del unread[: end + 4]
            headers = connection.request.headers
            connection.body_left = int(headers.get("content-length", 0))
            if headers.get("expect") and len(unread) < connection.body_left:
                connection.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        here = min(connection.body_left, len(unread))
        if self._keep_bodies:
            connection.request.body += unread[:here]
        del unread[:here]
        connection.body_left -= here
        self._received += here
        if connection.body_left:
            return False
        request, connection.request = connection.request, None
        self._requests += 1
        answer = self._content(request)
        if answer is None:
            raise ConnectionError
        if self._latency:
            due = time.monotonic() + self._latency
            heapq.heappush(self._late, (due, next(self._numbers), connection, answer))
        else:
            self._begin(connection, *answer)
        return True

    def _begin(self, connection: _Connection, answer: bytes, zeros: int) -> None:
        # One packet for head and body of small objects.
        first = answer + _ZEROS[: min(zeros, 1 << 15)]
        connection.zeros_left = zeros - (len(first) - len(answer))
        connection.outgoing.append(memoryview(first))
        try:
            self._send(connection)
        except BlockingIOError:
            self._watch(connection, sending=True)

    def _send(self, connection: _Connection) -> None:
        while connection.outgoing or connection.zeros_left:
            if not connection.outgoing:
                piece = memoryview(_ZEROS)[: min(connection.zeros_left, len(_ZEROS))]
                connection.zeros_left -= len(piece)
                connection.outgoing.append(piece)
            sent = connection.socket.send(connection.outgoing[0])
            left = connection.outgoing[0][sent:]
            connection.outgoing[:1] = [left] if left else []
        self._watch(connection, sending=False)

    def _watch(self, connection: _Connection, *, sending: bool) -> None:
        if connection.sending != sending:
            connection.sending = sending
            event = selectors.EVENT_WRITE if sending else selectors.EVENT_READ
            self._selector.modify(connection.socket, event, connection)


def _parse(head: bytearray) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return Request(method, target, {name.lower(): value.strip() for name, _, value in pairs})


def answered(
    content: bytes,
    kind: str = "",
    status: int = 200,
    size: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a whole answer; `size` is that of the body if not all of it is in `content`."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Refused')}", f"Date: {DATE}"]
    lines += ["Server: AmazonS3", "x-amz-request-id: 0"]
    lines += [f"Content-Length: {len(content) if size is None else size}"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def xml(content: str, status: int = 200) -> bytes:
    """Return a whole answer with this XML."""
    declared = f'<?xml version="1.0" encoding="UTF-8"?>\n{content}'
    return answered(declared.encode(), "application/xml", status)


def xml_error(status: int, code: str) -> bytes:
    """Return a whole answer with an error as S3 words it."""
    return xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)


def listing(
    prefix: str,
    entries: Iterable[tuple[str, str, int]],
    folders: Iterable[str] = (),
    after: str = "",
) -> bytes:
    """Return a page of ListObjectsV2: entries are key, time in ISO's form and size in bytes.

    `after` is the token of the next page, if there is one.
    """
    content = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>{written}</LastModified>"
        f"<ETag>&quot;0&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass>"
        "</Contents>"
        for key, written, size in entries
    )
    content += "".join(
        f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders
    )
    token = f"<NextContinuationToken>{after}</NextContinuationToken>" if after else ""
    return xml(
        f"<ListBucketResult><Prefix>{prefix}</Prefix><MaxKeys>{PAGE}</MaxKeys><IsTruncated>"
        f"{'true' if after else 'false'}</IsTruncated>{token}{content}</ListBucketResult>"
    )
