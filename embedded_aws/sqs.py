"""moto's SQS with queues that stay fast when they are deep.

moto counts and copies all messages of a queue several times for each request, so n messages cost
O(n^2). Here a standard queue keeps its messages in a MessageStore; the rest is moto's.
"""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import moto.sqs.models as models
from moto.core.utils import camelcase_to_underscores
from moto.sqs.exceptions import (
    InvalidParameterValue,
    MaxVisibilityTimeout,
    PurgeQueueInProgress,
    QueueDoesNotExist,
    ReceiptHandleIsInvalid,
    SQSException,
)

from embedded_aws.client_gone import is_gone
from embedded_aws.message_store import (
    MOST_SECONDS_HELD,
    BadHandle,
    HeldTooLong,
    MessageGone,
    MessageStore,
)

PURGE_SECONDS = 60  # botocore: sqs.PurgeQueue

_FIELDS = {name: camelcase_to_underscores(name) for name in models.Queue.BASE_ATTRIBUTES}
_COUNTS = {
    "ApproximateNumberOfMessages": "visible",
    "ApproximateNumberOfMessagesNotVisible": "in_flight",
    "ApproximateNumberOfMessagesDelayed": "delayed",
}


def install() -> None:
    """Make moto use these queues. Call this before the first request."""
    vars(models)["Queue"] = StandardQueue
    for method in (
        receive_message,
        change_message_visibility,
        change_message_visibility_batch,
        delete_queue,
        purge_queue,
    ):
        setattr(models.SQSBackend, method.__name__, method)


class StandardQueue(models.Queue):
    """A queue of moto that keeps its messages in a MessageStore."""

    message_retention_period: int  # moto sets it from the attributes

    def __init__(self, name: str, region: str, account_id: str, **kwargs: Any) -> None:
        self.store = MessageStore()
        if name.endswith(".fifo"):
            raise InvalidParameterValue("The AWS on this computer has standard queues only.")
        super().__init__(name, region, account_id, **kwargs)

    @property
    def attributes(self) -> dict[str, Any]:
        """Return all attributes, with exact counts."""
        counts = self.store.counts()
        values: dict[str, Any] = {}
        for name, field in _FIELDS.items():
            if name in _COUNTS:
                values[name] = getattr(counts, _COUNTS[name])
            elif name.endswith("Timestamp"):
                values[name] = int(getattr(self, field))
            else:
                values[name] = getattr(self, field)
        values["RedrivePolicy"] = json.dumps(self.redrive_policy) if self.redrive_policy else None
        values["SqsManagedSseEnabled"] = str(values["SqsManagedSseEnabled"]).lower()
        return values

    def add_message(self, message: Any) -> None:
        """Do SendMessage; moto has set the message's times, in milliseconds."""
        delay = message.delayed_until / 1000 - time.time() if message.delayed_until else 0.0
        self.store.add(message.id, message, message.sent_timestamp / 1000, delay)

    def delete_message(self, receipt_handle: str) -> None:
        """Do DeleteMessage: with any handle the message ever had, and again."""
        try:
            self.store.delete(receipt_handle)
        except BadHandle:
            raise ReceiptHandleIsInvalid from None

    def take(self, count: int, visibility: float) -> list[Any]:
        """Receive: return copies of moto's messages with handle and receive count."""
        policy = self.redrive_policy or {}
        most = policy.get("maxReceiveCount") if self.dead_letter_queue is not None else None
        received, dead = self.store.take(count, visibility, self.message_retention_period, most)
        dead_letters: Any = self.dead_letter_queue
        for message_id in dead:
            self.store.move(message_id, dead_letters.store)
        return [_receive(one.message, one.handle, one.receives) for one in received]


def _receive(message: Any, handle: str, receives: int) -> Any:
    if message.approximate_first_receive_timestamp is None:
        message.approximate_first_receive_timestamp = int(time.time() * 1000)
    message.approximate_receive_count = receives
    answer = copy.copy(message)
    answer.receipt_handle = handle
    return answer


def receive_message(
    self: Any,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> list[Any]:
    """Answer ReceiveMessage, with long polling (SQS guide, short and long polling)."""
    queue = self.get_queue(queue_name)
    end = time.monotonic() + wait_seconds_timeout
    while True:
        if queue.store.closed:
            raise QueueDoesNotExist
        if is_gone():
            return []
        messages: list[Any] = queue.take(count, visibility_timeout)
        left = end - time.monotonic()
        if messages or left <= 0:
            break
        queue.store.wait(left)
    for message in messages:
        models._filter_message_attributes(message, message_attribute_names or [])
    return messages


def change_message_visibility(
    self: Any, queue_name: str, receipt_handle: str, visibility_timeout: int
) -> None:
    """Answer ChangeMessageVisibility (botocore: sqs); see MessageStore for stale handles."""
    queue = self.get_queue(queue_name)
    try:
        queue.store.change(receipt_handle, int(visibility_timeout))
    except BadHandle:
        raise ReceiptHandleIsInvalid from None
    except MessageGone:
        raise InvalidParameterValue(
            f"Value {receipt_handle} for parameter ReceiptHandle is invalid. Reason: Message does "
            "not exist or is not available for visibility timeout change."
        ) from None
    except HeldTooLong:
        raise InvalidParameterValue(
            f"Value {visibility_timeout} for parameter VisibilityTimeout is invalid. Reason: Total "
            "VisibilityTimeout for the message is beyond the limit [43200 seconds]"
        ) from None


def change_message_visibility_batch(
    self: Any, queue_name: str, entries: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Answer ChangeMessageVisibilityBatch: each entry succeeds or fails by itself."""
    done: list[str] = []
    failed: list[dict[str, Any]] = []
    for entry in entries:
        seconds = int(entry.get("VisibilityTimeout", 0))
        try:
            if not 0 <= seconds <= MOST_SECONDS_HELD:
                raise MaxVisibilityTimeout
            self.change_message_visibility(queue_name, entry["ReceiptHandle"], seconds)
            done.append(entry["Id"])
        except SQSException as error:
            failed.append(
                {
                    "Id": entry["Id"],
                    "SenderFault": True,
                    "Code": error.code,
                    "Message": error.message,
                }
            )
    return done, failed


def delete_queue(self: Any, queue_name: str) -> None:
    """Answer DeleteQueue and wake waiting receivers."""
    queue = self.get_queue(queue_name)
    del self.queues[queue_name]
    queue.store.close()


def purge_queue(self: Any, queue_name: str) -> None:
    """Answer PurgeQueue, once in 60 seconds (botocore: sqs.PurgeQueue)."""
    queue = self.get_queue(queue_name)
    now = time.time()
    if queue.last_purged_at is not None and now - queue.last_purged_at < PURGE_SECONDS:
        raise PurgeQueueInProgress(queue_name)
    queue.last_purged_at = now
    queue.store.purge()
