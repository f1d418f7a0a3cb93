"""The messages of one standard SQS queue, with each operation in O(log n)."""

from __future__ import annotations

import heapq
import itertools
import secrets
import threading
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

MOST_IN_FLIGHT = 120_000  # botocore: sqs.ChangeMessageVisibility
MOST_SECONDS_HELD = 43_200.0  # botocore: sqs.ChangeMessageVisibility, a total from the receive


class BadHandle(Exception):
    """The text is not a receipt handle of this queue."""


class MessageGone(Exception):
    """The handle was valid, but its message has been deleted since."""


class HeldTooLong(Exception):
    """The message would be held for more than 12 hours since its receive."""


State = Literal["visible", "in flight", "delayed", "moving"]


@dataclass(eq=False)
class _Entry:
    message: Any
    number: int
    sent: float
    state: State
    due: float = 0.0
    receives: int = 0
    received: float = 0.0


class Counts(NamedTuple):
    """The three Approximate... attributes, here exact."""

    visible: int
    in_flight: int
    delayed: int


class Received(NamedTuple):
    """One receive of a message."""

    message: Any
    handle: str
    receives: int


class MessageStore:
    """Messages by state. `clock` returns seconds since the epoch; `wait` waits in real time.

    A stale handle (the message was received again since) still changes and deletes its message: AWS
    promises neither, and this hurts a careless worker more (guess). A change of a message that is
    visible again does nothing and is no error (guess).
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._name = secrets.token_hex(4)
        self._numbers = itertools.count()
        self._entries: dict[str, _Entry] = {}
        self._visible: list[tuple[int, str]] = []
        self._timed: list[tuple[float, int, str]] = []
        self._counts: dict[State, int] = {}
        self.purge()
        self.closed = False

    def add(
        self, message_id: str, message: Any, sent: float, delay: float = 0.0, receives: int = 0
    ) -> None:
        """Add a message and wake waiting receivers."""
        with self._changed:
            entry = _Entry(message, next(self._numbers), sent, "visible", receives=receives)
            self._entries[message_id] = entry
            self._counts["visible"] += 1
            if delay > 0:
                self._hide(message_id, entry, "delayed", self._clock() + delay)
            else:
                heapq.heappush(self._visible, (entry.number, message_id))
                self._changed.notify_all()

    def take(
        self, count: int, visibility: float, retention: float, most_receives: int | None
    ) -> tuple[list[Received], list[str]]:
        """Receive up to `count` messages; also the ids of those due for the dead-letter queue.

        The latter are out of sight until `move`; what is older than `retention` is deleted.
        """
        received: list[Received] = []
        taken: list[str] = []
        dead: list[str] = []
        with self._changed:
            now = self._clock()
            self._show_due(now)
            while self._visible and len(received) < count:
                if self._is_full():
                    break
                number, message_id = heapq.heappop(self._visible)
                entry = self._entries.get(message_id)
                if entry is None or entry.number != number or entry.state != "visible":
                    continue
                if entry.sent + retention <= now:
                    self._delete(message_id)
                elif most_receives is not None and entry.receives >= most_receives:
                    self._set(entry, "moving")
                    dead.append(message_id)
                else:
                    received.append(self._receive(message_id, entry, now))
                    taken.append(message_id)
            # Hide them only now: with a visibility of 0 one answer would hold a message twice.
            for message_id in taken:
                self._hold(message_id, now + visibility)
        return received, dead

    def _receive(self, message_id: str, entry: _Entry, now: float) -> Received:
        entry.receives += 1
        entry.received = now
        text = f"{self._name}/{message_id}/{entry.receives}/{secrets.token_hex(4)}"
        handle = urlsafe_b64encode(text.encode()).decode()
        return Received(entry.message, handle, entry.receives)

    def _hold(self, message_id: str, due: float) -> None:
        entry = self._entries[message_id]
        if due > self._clock():
            self._hide(message_id, entry, "in flight", due)
        else:
            heapq.heappush(self._visible, (entry.number, message_id))

    def move(self, message_id: str, other: MessageStore) -> None:
        """Put a message that `take` called dead into another queue; it keeps age and receives."""
        with self._changed:
            entry = self._entries.get(message_id)
        if entry is not None:
            # First there, then not here: no count ever misses it.
            other.add(message_id, entry.message, entry.sent, receives=entry.receives)
            with self._changed:
                self._delete(message_id)

    def change(self, handle: str, seconds: float) -> None:
        """Do ChangeMessageVisibility. Raise BadHandle, MessageGone or HeldTooLong."""
        message_id = self._checked(handle)
        with self._changed:
            now = self._clock()
            self._show_due(now)
            entry = self._entries.get(message_id)
            if entry is None:
                raise MessageGone
            if entry.state != "in flight":
                return
            if now + seconds - entry.received > MOST_SECONDS_HELD:
                raise HeldTooLong
            if seconds > 0:
                self._hide(message_id, entry, "in flight", now + seconds)
            else:
                self._show(message_id, entry)

    def delete(self, handle: str) -> None:
        """Do DeleteMessage; deleting again is no error (botocore: sqs). Raise BadHandle."""
        message_id = self._checked(handle)
        with self._changed:
            self._delete(message_id)

    def counts(self) -> Counts:
        """Return how many messages are in which state."""
        with self._changed:
            self._show_due(self._clock())
            counts = self._counts
            # A message on its way to the dead-letter queue counts here until it is there.
            return Counts(
                counts["visible"], counts["in flight"] + counts["moving"], counts["delayed"]
            )

    def purge(self) -> None:
        """Delete all."""
        with self._changed:
            self._entries = {}
            self._visible = []
            self._timed = []
            self._counts = {"visible": 0, "in flight": 0, "delayed": 0, "moving": 0}

    def close(self) -> None:
        """Mark the queue as deleted and wake waiting receivers."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until a message may be visible, the queue is closed, or the time is over."""
        with self._changed:
            now = self._clock()
            self._show_due(now)
            if self.closed or (self._counts["visible"] and not self._is_full()):
                return
            while self._timed and not self._is_current(*self._timed[0]):
                heapq.heappop(self._timed)
            if self._timed:
                seconds = min(seconds, self._timed[0][0] - now)
            self._changed.wait(max(0.0, seconds))

    def _is_full(self) -> bool:
        return self._counts["in flight"] >= MOST_IN_FLIGHT

    def _checked(self, handle: str) -> str:
        try:
            name, message_id, _, _ = urlsafe_b64decode(handle).decode().split("/")
        except (NotBase64, UnicodeError, ValueError):
            raise BadHandle from None
        if name != self._name:
            raise BadHandle
        return message_id

    def _is_current(self, due: float, number: int, message_id: str) -> bool:
        entry = self._entries.get(message_id)
        return (
            entry is not None
            and entry.number == number
            and entry.due == due
            and entry.state in ("in flight", "delayed")
        )

    def _show_due(self, now: float) -> None:
        while self._timed and self._timed[0][0] <= now:
            due, number, message_id = heapq.heappop(self._timed)
            if self._is_current(due, number, message_id):
                self._show(message_id, self._entries[message_id])

    def _show(self, message_id: str, entry: _Entry) -> None:
        self._set(entry, "visible")
        heapq.heappush(self._visible, (entry.number, message_id))
        self._changed.notify_all()

    def _hide(self, message_id: str, entry: _Entry, state: State, due: float) -> None:
        self._set(entry, state)
        entry.due = due
        heapq.heappush(self._timed, (due, entry.number, message_id))
        if self._timed[0] == (due, entry.number, message_id):
            # Waiting receivers expected a later moment.
            self._changed.notify_all()

    def _set(self, entry: _Entry, state: State) -> None:
        self._counts[entry.state] -= 1
        self._counts[state] += 1
        entry.state = state

    def _delete(self, message_id: str) -> None:
        entry = self._entries.pop(message_id, None)
        if entry is not None:
            self._counts[entry.state] -= 1
