"""What an outcome means for the job's records and its message: a pure decision, and its actions.

Order: attempt, record, dead letter, message. After each of these a worker may vanish; the next
receive then finds what was written and goes on from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Mapping

from plumbing import records
from plumbing.aws_clients import AWS_ERRORS
from plumbing.console import say
from plumbing.lease import boot_clock
from plumbing.retrying import may_have_arrived, persistently

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

    from plumbing.message import Message

DONE, SKIPPED, FAILED, INTERRUPTED = "done", "skipped", "failed", "interrupted"
# A done record was there already; another worker may hold the message; killed too often before.
REPEATED, LOST, GIVEN_UP = "repeated", "lost", "given up"

FIRST_BACKOFF, LONGEST_BACKOFF = 10.0, 900.0
# In bytes: a message attribute counts towards the 1 MiB of its message (SQS quotas).
LONGEST_REASON = 1000
# SQS takes no other control characters: SendMessage.
_NOT_FOR_SQS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Outcome:
    """How a receive ended. `machine`: for a reason of this machine's; `final`: no use to retry."""

    kind: str
    reason: str = ""
    exit_code: int | None = None
    signal: str | None = None
    machine: bool = False
    final: bool = False


@dataclass(frozen=True)
class Plan:
    """What to write and what becomes of the message. `visible_in`: seconds, None leaves it."""

    attempt: str | None = None
    record: str | None = None
    dead_letter: bool = False
    visible_in: int | None = None
    delete: bool = False


def decide(outcome: Outcome, counted: int, allowed: int, draw: float = 1.0) -> Plan:
    """What follows from an outcome after `counted` failed attempts, of `allowed`.

    `draw`, from 0 to 1, spreads the retries of jobs that failed together.
    """
    if outcome.kind in (DONE, SKIPPED):
        return Plan(record=outcome.kind, delete=True)
    if outcome.kind == REPEATED:
        return Plan(delete=True)
    if outcome.kind == INTERRUPTED:
        return Plan(attempt=INTERRUPTED, visible_in=0)
    if outcome.kind == GIVEN_UP:
        return Plan(record=FAILED, dead_letter=True, delete=True)
    if outcome.kind == LOST:
        return Plan()
    if outcome.final or counted + 1 >= allowed:
        return Plan(attempt=FAILED, record=FAILED, dead_letter=True, delete=True)
    return Plan(attempt=FAILED, visible_in=backoff(counted + 1, draw))


def backoff(attempt: int, draw: float) -> int:
    """Seconds until a job is tried again after its n-th failure: 10, 30 ... 900, or 20 % less."""
    seconds = min(FIRST_BACKOFF * 3.0 ** (attempt - 1), LONGEST_BACKOFF)
    return round(seconds * (0.8 + draw / 5))


def dead_letter(message: Message, reason: str | None) -> dict[str, Any]:
    """The arguments of SendMessage for the dead-letter queue: body and attributes, and a reason.

    None leaves it out.
    """
    kept = {
        name: {key: value[key] for key in ("DataType", "StringValue") if key in value}
        for name, value in message.attributes.items()
        if "StringValue" in value and name != "reason"
    }
    if reason is not None:
        text = _NOT_FOR_SQS.sub("?", reason).encode()[:LONGEST_REASON].decode("utf-8", "ignore")
        kept["reason"] = {"DataType": "String", "StringValue": text or "no reason known"}
    return {"MessageBody": message.body, "MessageAttributes": kept}


class Settler:
    """Writes what plans say. `check` is asked before each request and raises to end it."""

    def __init__(
        self, s3: S3Client, sqs: SQSClient, bucket: str, queue_url: str, dead_letter_queue: str
    ) -> None:
        self._s3 = s3
        self._sqs = sqs
        self._bucket = bucket
        self._queue_url = queue_url
        self._dead_letter_queue = dead_letter_queue
        self._dead_letter_url = ""

    def write(
        self,
        plan: Plan,
        message: Message,
        keys: records.Keys,
        fields: Mapping[str, Any],
        earlier: records.Done | None,
        check: Callable[[], None],
    ) -> None:
        """Attempt, record and dead letter. Raises what AWS answers for good."""
        what = f"[{message.job_name}] settling"
        if plan.attempt:
            key = keys.attempt(plan.attempt)
            self._put(key, {**fields, "state": plan.attempt}, what, check)
        if plan.record == DONE:
            content = {**fields, "state": DONE}
            written = persistently(
                lambda: records.write_done(self._s3, self._bucket, keys, content, earlier),
                what,
                check,
            )
            if not written:
                say(f"{what}: there is a done record already")
        elif plan.record:
            key = keys.record(plan.record)
            self._put(key, {**fields, "state": plan.record}, what, check)
        if plan.dead_letter:
            self._send_dead_letter(message, str(fields["reason"]), check)

    def delete(self, message: Message, check: Callable[[], None]) -> None:
        """Delete the message."""
        persistently(
            lambda: self._sqs.delete_message(
                QueueUrl=self._queue_url, ReceiptHandle=message.handle
            ),
            f"[{message.job_name}] deleting its message",
            check,
        )

    def give_back(
        self,
        message: Message,
        seconds: int,
        check: Callable[[], None],
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        """Make the message visible in so many seconds.

        After an answer that was lost it is not asked for again once the message may be visible: by
        then it may be another worker's, and would be taken from it.
        """
        what = f"[{message.job_name}] giving its message back"
        may_be_visible = float("inf")

        def call() -> None:
            nonlocal may_be_visible
            now = clock()
            if now >= may_be_visible:
                return say(f"{what}: whether that was heard is not known; it comes back by itself")
            try:
                self._sqs.change_message_visibility(
                    QueueUrl=self._queue_url,
                    ReceiptHandle=message.handle,
                    VisibilityTimeout=seconds,
                )
            except AWS_ERRORS as error:
                if may_have_arrived(error):
                    may_be_visible = min(may_be_visible, now + seconds)
                raise

        persistently(call, what, check)

    def _put(
        self, key: str, content: Mapping[str, Any], what: str, check: Callable[[], None]
    ) -> None:
        persistently(lambda: records.write(self._s3, self._bucket, key, content), what, check)

    def _send_dead_letter(self, message: Message, reason: str, check: Callable[[], None]) -> None:
        """For those who look there: that the job is given up, the record says already.

        A message as large as SQS allows has no room for a reason: its letter goes without.
        """

        def call(reason: str | None) -> None:
            if not self._dead_letter_url:
                answer = self._sqs.get_queue_url(QueueName=self._dead_letter_queue)
                self._dead_letter_url = answer["QueueUrl"]
            self._sqs.send_message(QueueUrl=self._dead_letter_url, **dead_letter(message, reason))

        what = f"[{message.job_name}] sending its dead letter"
        for text, how in ((reason, "with its reason"), (None, "at all")):
            try:
                return persistently(partial(call, text), what, check)
            except AWS_ERRORS as error:
                say(f"{what}: not to {self._dead_letter_queue} {how}: {error}")
