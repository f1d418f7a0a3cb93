"""A task's output: all of it into a file, the newest part into CloudWatch Logs.

Like the awslogs driver (ECS guide, using_awslogs): stream PREFIX/CONTAINER/TASK-ID, one event for
each line. CloudWatch keeps everything; here a stream keeps its newest lines, as moto holds them
in memory. The file has all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moto.logs.exceptions import LogsClientError
from moto.logs.models import logs_backends

from embedded_aws.task_runner import CannotStart

LINES_KEPT = 5_000
BYTES_KEPT = 2_000_000
LONGEST_LINE = (
    262_118  # botocore: logs.PutLogEvents, 256 KiB less 26 bytes, as the driver cuts lines
)
SECONDS_BETWEEN_PUTS = 0.5


class TaskLog:
    """The output of one task, taken in pieces. Only one thread may write."""

    def __init__(
        self, path: Path, account: str, region: str, container: Mapping[str, Any], task_id: str
    ) -> None:
        """Make file and stream. Raise CannotStart, as ECS does, if the log group is missing."""
        self._cloud = _stream(account, region, container, task_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._lines: list[dict[str, Any]] = []
        self._rest = b""
        self._lock = threading.Lock()
        self._last_put = 0.0

    def write(self, chunk: bytes) -> None:
        """Take more output."""
        self._file.write(chunk)
        if self._cloud is None:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        self._add(lines)
        if time.monotonic() - self._last_put > SECONDS_BETWEEN_PUTS:
            self.flush()

    def flush(self) -> None:
        """Put the collected lines into the stream."""
        with self._lock:
            lines, self._lines = self._lines, []
            self._last_put = time.monotonic()
            if self._cloud is not None and lines:
                self._cloud.put(lines)

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._rest:
            self._add([self._rest])
        self.flush()
        self._file.close()

    def _add(self, lines: list[bytes]) -> None:
        now = int(time.time() * 1000)
        with self._lock:
            self._lines += [
                {"timestamp": now, "message": line[:LONGEST_LINE].decode(errors="replace")}
                for line in lines
                if line.strip()
            ]
            del self._lines[:-LINES_KEPT]


class _Stream:
    def __init__(self, backend: Any, group: str, stream: str) -> None:
        self._backend, self._group, self._name = backend, group, stream

    def put(self, lines: list[dict[str, Any]]) -> None:
        try:
            self._backend.put_log_events(self._group, self._name, lines)
            events = self._backend.groups[self._group].streams[self._name].events
        except (LogsClientError, KeyError):
            # The log group was deleted meanwhile; the driver drops lines then, too (guess).
            return
        size, keep = 0, 0
        for event in reversed(events[-LINES_KEPT:]):
            size += len(event.message)
            if size > BYTES_KEPT:
                break
            keep += 1
        del events[: len(events) - keep]


def _stream(
    account: str, region: str, container: Mapping[str, Any], task_id: str
) -> _Stream | None:
    settings = container.get("logConfiguration") or {}
    if settings.get("logDriver") != "awslogs":
        return None
    options = settings.get("options", {})
    group = options.get("awslogs-group", "")
    backend = logs_backends[account][options.get("awslogs-region", region)]
    if group not in backend.groups:
        if options.get("awslogs-create-group") != "true":
            raise CannotStart(
                "CannotStartContainerError: Error response from daemon: failed to initialize "
                "logging driver: failed to create Cloudwatch log stream: "
                "ResourceNotFoundException: The specified log group does not exist."
            )
        backend.create_log_group(group, tags={})
    prefix = options.get("awslogs-stream-prefix")
    stream = f"{prefix}/{container['name']}/{task_id}" if prefix else task_id
    backend.create_log_stream(group, stream)
    return _Stream(backend, group, stream)
