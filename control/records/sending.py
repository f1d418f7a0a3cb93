"""Send jobs to the queue, in batches and by several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from control.aws.session import CONNECTIONS
from control.aws.sqs import BATCH_BYTES, BATCH_MESSAGES, send_batch
from control.user_files.job import Job

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from control.model import Run

# What SQS counts in addition to the body: names, types and values of the attributes. The name of a
# job alone can be 150 characters of 4 bytes.
ATTRIBUTE_BYTES = 1024
# Batches sent one after the other before the number of threads is chosen. The first opens the
# connection and is not measured.
_MEASURED = 4
# A job and the number of its submission.
Pair = tuple[Job, int]
Batch = Sequence[Pair]


@dataclass
class Sent:
    """Jobs that SQS accepted, and those that it refused with its reasons."""

    accepted: list[Pair] = field(default_factory=list)
    refused: list[tuple[Job, str]] = field(default_factory=list)


class Sender:
    """Sends batches to the queue of a run, by as many threads as the network is worth."""

    def __init__(
        self,
        sqs: SQSClient,
        run: Run,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._sqs, self._run = sqs, run
        self._clock, self._cpu_clock = clock, cpu_clock
        self._measured: list[tuple[float, float]] = []
        self._threads = 0

    def send(self, jobs: Iterable[Pair], sent: Sent) -> None:
        """Send jobs and add them to `sent`, which is exact also if this raises an error.

        An error that lasts (no network, the queue is gone) is raised when all batches under way
        have ended. A job that is not in `sent` then may still be in the queue, if an answer of SQS
        was lost.
        """
        rest = batches(jobs)
        while self._threads <= 1:
            batch = next(rest, None)
            if batch is None:
                return
            if self._threads:
                self._send(batch, sent)
            else:
                self._measure(batch, sent)
        self._send_in_threads(rest, sent)

    def _measure(self, batch: Batch, sent: Sent) -> None:
        began, cpu_began = self._clock(), self._cpu_clock()
        self._send(batch, sent)
        self._measured.append((self._clock() - began, self._cpu_clock() - cpu_began))
        if len(self._measured) == _MEASURED:
            seconds, cpu_seconds = map(sum, zip(*self._measured[1:], strict=True))
            self._threads = threads_worth(seconds, cpu_seconds)

    def _send_in_threads(self, rest: Iterator[Batch], sent: Sent) -> None:
        failures: list[BaseException] = []
        free = threading.Semaphore(self._threads)

        def send(batch: Batch) -> None:
            try:
                if not failures:
                    self._send(batch, sent)
            except BaseException as error:
                failures.append(error)
            finally:
                free.release()

        with ThreadPoolExecutor(self._threads) as pool:
            for batch in rest:
                free.acquire()
                if failures:
                    break
                pool.submit(send, batch)
        if failures:
            raise failures[0]

    def _send(self, batch: Batch, sent: Sent) -> None:
        refused = send_batch(self._sqs, self._run.queue_url, entries_of(batch, self._run))
        sent.accepted += [pair for i, pair in enumerate(batch) if i not in refused]
        sent.refused += [(batch[i][0], why) for i, why in refused.items()]


def batches(jobs: Iterable[Pair]) -> Iterator[Batch]:
    """Yield jobs in groups that fit one call: at most 10 messages and 1 MiB."""
    batch: list[Pair] = []
    size = 0
    for job, submission in jobs:
        bytes_ = (len(job.body) if job.body.isascii() else len(job.body.encode())) + ATTRIBUTE_BYTES
        if batch and (len(batch) == BATCH_MESSAGES or size + bytes_ > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((job, submission))
        size += bytes_
    if batch:
        yield batch


def threads_worth(seconds: float, cpu_seconds: float) -> int:
    """Return how many threads keep the CPU busy while others wait for the network.

    Python runs one thread at a time: without waiting, a second one only costs (measured by
    benchmarks/submit_jobs.py).
    """
    waiting = seconds / max(cpu_seconds, 1e-6)
    return 1 if waiting < 2 else min(CONNECTIONS, round(2 * waiting))


def entries_of(batch: Batch, run: Run) -> list[dict[str, Any]]:
    """Return the messages of a batch in the form of SendMessageBatch (contract 2)."""
    of_run = {"app": _text(run.app_name), "run_id": _text(run.run_id)}
    return [
        {
            "MessageBody": job.body,
            "MessageAttributes": {
                **of_run,
                "job_id": _text(job.id),
                "job_name": _text(job.name),
                "submission": {"DataType": "Number", "StringValue": str(submission)},
            },
        }
        for job, submission in batch
    ]


def _text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}
