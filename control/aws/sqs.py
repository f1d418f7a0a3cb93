"""SQS: the queues of a run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control.aws.waiting import Wait, until_accepted
from control.explain import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from control.config import Config

# The most that SQS accepts in one call (API reference of SendMessageBatch).
BATCH_MESSAGES = 10
BATCH_BYTES = 1024 * 1024
RETENTION_SECONDS = 14 * 24 * 3600
# SQS refuses a name for 60 s after its queue was deleted (API reference of DeleteQueue).
_NAME_BLOCKED_SECONDS = 75
# The worker itself counts attempts, without interruptions; SQS's redrive is the safety net for a
# message that kills every worker before it can write anything.
RECEIVES_ABOVE_RETRIES = 100


@dataclass(frozen=True)
class Counts:
    """Approximate numbers of messages (they may lag by a minute or more)."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        return self.visible + self.in_flight + self.delayed


def ensure_queues(
    sqs: SQSClient, config: Config, tags: Mapping[str, str], wait: Wait = time.sleep
) -> tuple[str, str]:
    """Make or update the two queues; return the URLs of the job and the dead-letter queue.

    A dead-letter queue that exists is left as it is: it may be shared. Wait up to 75 s if a queue
    of this name was just deleted.
    """
    retention = {"MessageRetentionPeriod": str(RETENTION_SECONDS)}
    dead_url = queue_url(sqs, config.SQS_DEAD_LETTER_QUEUE) or _create(
        sqs, config.SQS_DEAD_LETTER_QUEUE, retention, tags, wait
    )
    dead_arn = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": dead_arn["Attributes"]["QueueArn"],
        "maxReceiveCount": config.JOB_RETRIES + RECEIVES_ABOVE_RETRIES,
    }
    wanted: dict[Any, str] = {
        **retention,
        "VisibilityTimeout": str(config.SQS_MESSAGE_VISIBILITY),
        "ReceiveMessageWaitTimeSeconds": "20",
        "RedrivePolicy": json.dumps(redrive),
    }
    url = queue_url(sqs, config.SQS_QUEUE_NAME)
    if url is None:
        return _create(sqs, config.SQS_QUEUE_NAME, wanted, tags, wait), dead_url
    sqs.set_queue_attributes(QueueUrl=url, Attributes=wanted)
    sqs.tag_queue(QueueUrl=url, Tags=tags)
    return url, dead_url


def queue_url(sqs: SQSClient, name: str) -> str | None:
    """Return the URL of the queue of this name, None if there is none."""
    try:
        return sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError as error:
        if aws_errors.code_of(error) != "QueueDoesNotExist":
            raise
        return None


def queue_counts(sqs: SQSClient, queue_url: str) -> Counts | None:
    """Return how many messages wait, are in flight and are delayed; None if the queue is gone."""
    try:
        answer = sqs.get_queue_attributes(
            QueueUrl=queue_url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed",
            ],
        )
    except ClientError as error:
        if aws_errors.code_of(error) != "QueueDoesNotExist":
            raise
        return None
    number = {name: int(value) for name, value in answer["Attributes"].items()}
    return Counts(
        visible=number["ApproximateNumberOfMessages"],
        in_flight=number["ApproximateNumberOfMessagesNotVisible"],
        delayed=number["ApproximateNumberOfMessagesDelayed"],
    )


def delete_queue(sqs: SQSClient, queue_url: str) -> None:
    """Delete a queue; one that is gone already is success."""
    try:
        sqs.delete_queue(QueueUrl=queue_url)
    except ClientError as error:
        if aws_errors.code_of(error) != "QueueDoesNotExist":
            raise


def send_batch(
    sqs: SQSClient,
    queue_url: str,
    entries: Sequence[Mapping[str, Any]],
    wait: Wait = time.sleep,
) -> Mapping[int, str]:
    """Send up to ten messages; return why SQS refused some for good, by index.

    Messages that SQS could not accept for a reason of its own (SenderFault false) are sent again,
    with growing pauses, up to seven times: about a minute.
    """
    waiting = dict(enumerate(entries))
    refused: dict[int, str] = {}
    for pause in (0.2, 0.5, 1, 2, 5, 10, 20, None):
        batch: list[Any] = [{"Id": str(i), **entry} for i, entry in waiting.items()]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=batch)
        failed = answer.get("Failed", [])
        refused |= {int(f["Id"]): _why(f) for f in failed if f["SenderFault"] or pause is None}
        waiting = {int(f["Id"]): waiting[int(f["Id"])] for f in failed if not f["SenderFault"]}
        if not waiting or pause is None:
            break
        wait(pause)
    return refused


def _why(failure: Any) -> str:
    return f"{failure['Code']}: {failure.get('Message', 'no reason given')}"


def _create(
    sqs: SQSClient, name: str, attributes: dict[Any, str], tags: Mapping[str, str], wait: Wait
) -> str:
    made = until_accepted(
        lambda: sqs.create_queue(QueueName=name, Attributes=attributes, tags=tags),
        lambda error: aws_errors.code_of(error) == "QueueDeletedRecently",
        wait,
        _NAME_BLOCKED_SECONDS,
    )
    return made["QueueUrl"]
