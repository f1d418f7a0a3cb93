"""The outcome of a receive, what follows for the job's records and its message, and doing that.

Order: attempt, record, dead letter, message. A worker may vanish after each of these; the next
receive then finds what was written and continues from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Mapping

from plumbing import records
from plumbing.aws_clients import AWS_ERRORS
from plumbing.console import say
from plumbing.errors import JobFailed
from plumbing.lease import boot_clock
from plumbing.retrying import may_have_arrived, persistently

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

    from plumbing.message import Message
    from plumbing.records import Done, Keys

DONE, SKIPPED, FAILED, INTERRUPTED = "done", "skipped", "failed", "interrupted"
# A done record exists already; another worker may hold the message; no attempts are left; the
# message is none of this app's jobs.
REPEATED, LOST, EXHAUSTED, REFUSED = "repeated", "lost", "exhausted", "refused"

FIRST_BACKOFF, LONGEST_BACKOFF = 10.0, 900.0
# In bytes, in a dead letter: attributes count toward the 1 MiB of a message (SQS quotas).
LONGEST_REASON = 1000
# SQS accepts no other control characters: SendMessage.
_NOT_FOR_SQS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a receive. `cause`: one of errors.Cause, "" when done.

    `machine`: the fault is in this machine or its image; `final`: a retry would not help.
    """

    kind: str
    reason: str = ""
    cause: str = ""
    exit_code: int | None = None
    signal: str | None = None
    machine: bool = False
    final: bool = False


def failed(error: JobFailed) -> Outcome:
    """Return the outcome of a failure."""
    return Outcome(
        FAILED,
        str(error) or "failed without a reason",
        error.cause,
        error.exit_code,
        error.signal,
        error.machine,
        final=not error.retry,
    )


@dataclass(frozen=True)
class Plan:
    """The objects to write and the fate of the message. `visible_in`: seconds, None leaves it."""

    attempt: str | None = None
    record: str | None = None
    dead_letter: bool = False
    visible_in: int | None = None
    delete: bool = False


def decide(outcome: Outcome, counted: int, allowed: int, draw: float = 1.0) -> Plan:
    """Return what follows from an outcome after `counted` failed attempts of `allowed`.

    `draw`, from 0 to 1, spreads the retries of jobs that failed together.
    """
    if outcome.kind in (DONE, SKIPPED):
        return Plan(record=outcome.kind, delete=True)
    if outcome.kind == REPEATED:
        return Plan(delete=True)
    if outcome.kind == REFUSED:
        return Plan(dead_letter=True, delete=True)
    if outcome.kind == INTERRUPTED:
        return Plan(attempt=INTERRUPTED, visible_in=0)
    if outcome.kind == EXHAUSTED:
        return Plan(record=FAILED, dead_letter=True, delete=True)
    if outcome.kind == LOST:
        return Plan()
    if outcome.final or counted + 1 >= allowed:
        return Plan(attempt=FAILED, record=FAILED, dead_letter=True, delete=True)
    return Plan(attempt=FAILED, visible_in=backoff(counted + 1, draw))


def backoff(attempt: int, draw: float) -> int:
    """Return the seconds before the retry after the n-th failure: 10, 30 ... 900, or 20 % less."""
    seconds = min(FIRST_BACKOFF * 3.0 ** (attempt - 1), LONGEST_BACKOFF)
    return round(seconds * (0.8 + draw / 5))


def dead_letter(message: Message, reason: str | None) -> dict[str, Any]:
    """Return the arguments of SendMessage for the dead-letter queue: the message and a reason.

    None leaves the reason out.
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
    """Carries out plans. `check` is called before each request and raises to stop."""

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
        keys: Keys,
        fields: Mapping[str, Any],
        earlier: Done | None,
        check: Callable[[], None],
    ) -> None:
        """Write attempt, record and dead letter. Raise what AWS refuses for good."""
        what = f"[{message.job_name}] settling"
        if plan.attempt:
            key = keys.attempt(plan.attempt, fields["cause"])
            self._put(key, {**fields, "state": plan.attempt}, what, check)
            fields = {name: value for name, value in fields.items() if name != "log"}
        if plan.record == DONE:
            content = {**fields, "state": DONE}
            written = persistently(
                lambda: records.write_done(self._s3, self._bucket, keys, content, earlier),
                what,
                check,
            )
            if not written:
                say(f"{what}: a done record exists already")
        elif plan.record:
            key = keys.record(plan.record, fields["cause"])
            self._put(key, {**fields, "state": plan.record}, what, check)
        if plan.dead_letter:
            # Without a record the dead letter is all that is left of the message.
            self._send_dead_letter(message, str(fields["reason"]), not plan.record, check)

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
        """Make the message visible in `seconds`.

        After a lost answer the request is not repeated once the message may be visible: by then
        another worker may have it, from which it would be taken.
        """
        what = f"[{message.job_name}] giving its message back"
        may_be_visible = float("inf")

        def call() -> None:
            nonlocal may_be_visible
            now = clock()
            if now >= may_be_visible:
                return say(f"{what}: no answer; it becomes visible by itself")
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

    def _send_dead_letter(
        self, message: Message, reason: str, needed: bool, check: Callable[[], None]
    ) -> None:
        """Send it with its reason, or without: a message as large as SQS allows has no room.

        Raise only if it is `needed`.
        """

        def call(reason: str | None) -> None:
            if not self._dead_letter_url:
                answer = self._sqs.get_queue_url(QueueName=self._dead_letter_queue)
                self._dead_letter_url = answer["QueueUrl"]
            self._sqs.send_message(QueueUrl=self._dead_letter_url, **dead_letter(message, reason))

        what = f"[{message.job_name}] sending its dead letter"
        for text, how in ((reason, " with its reason"), (None, "")):
            try:
                return persistently(partial(call, text), what, check)
            except AWS_ERRORS as error:
                say(f"{what}: {self._dead_letter_queue} refused it{how}: {error}")
                if needed and text is None:
                    raise
