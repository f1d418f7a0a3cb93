"""Send jobs to the queue, in batches and by several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from control.aws.session import CONNECTIONS
from control.aws.sqs import BATCH_BYTES, BATCH_MESSAGES, send_batch
from control.user_files.job import Job

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from control.model import Run

# What SQS counts beside the body: names, types and values of the attributes. A job's name alone
# can be 150 characters of 4 bytes.
ATTRIBUTE_BYTES = 1024

# Batches sent one after the other before the number of threads is chosen; the first of them,
# which opens the connection, is not measured.
_MEASURED = 4

Batch = Sequence[tuple[Job, int]]


class Sent(NamedTuple):
    """The outcome of one batch: what SQS took, and what it refused with its reason."""

    taken: Batch
    refused: list[tuple[Job, str]]
    # An answer of SQS was lost and botocore sent the batch again: it may be there twice.
    doubtful: bool


class Log(Protocol):
    """Told of every batch before it is sent, and of what became of it as soon as that is known."""

    def sending(self, batch: Batch) -> None: ...
    def sent(self, batch: Batch) -> None: ...
    def refused(self, batch: Batch) -> None: ...


def batches(jobs: Iterable[tuple[Job, int]]) -> Iterator[Batch]:
    """Jobs in groups that one call takes: at most 10 messages and 1 MiB."""
    batch: list[tuple[Job, int]] = []
    size = 0
    for job, submission in jobs:
        body = job.body
        bytes_ = (len(body) if body.isascii() else len(body.encode())) + ATTRIBUTE_BYTES
        if batch and (len(batch) == BATCH_MESSAGES or size + bytes_ > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((job, submission))
        size += bytes_
    if batch:
        yield batch


def send_all(
    sqs: SQSClient,
    run: Run,
    work: Iterable[Batch],
    log: Log,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.thread_time,
) -> Iterator[Sent]:
    """Send every batch; yields each outcome as it is known. `log` is called from many threads.

    If sending fails for good (no network, queue gone), the error is raised after the outcomes of
    all batches that were under way.
    """
    with _watching_answers(sqs) as lost:

        def send(batch: Batch) -> Sent:
            lost.answer = lost.some_taken = False
            try:
                refused = send_batch(sqs, run.queue_url, entries_of(batch, run))
            except ClientError as error:
                if _refused_all(error) and not lost.answer and not lost.some_taken:
                    log.refused(batch)
                raise
            taken = [pair for i, pair in enumerate(batch) if i not in refused]
            log.sent(taken)
            log.refused([batch[i] for i in refused])
            return Sent(taken, [(batch[i][0], why) for i, why in refused.items()], lost.answer)

        rest = iter(work)
        began, cpu_began = clock(), cpu_clock()
        for count, batch in enumerate(rest, start=1):
            log.sending(batch)
            yield send(batch)
            if count == 1:
                began, cpu_began = clock(), cpu_clock()
            if count == _MEASURED:
                break
        threads = threads_worth(clock() - began, cpu_clock() - cpu_began)
        if threads == 1:
            for batch in rest:
                log.sending(batch)
                yield send(batch)
        else:
            yield from _from_threads(send, rest, log, threads)


class _Lost(threading.local):
    """Whether, in this thread, SQS may have taken a batch without its answer arriving here."""

    answer = False
    # Another answer did arrive, for a part of the batch.
    some_taken = False

    def __call__(self, caught_exception: Any = None, response: Any = None, **_: Any) -> None:
        never_arrived = isinstance(caught_exception, EndpointConnectionError | ConnectTimeoutError)
        if caught_exception is not None and not never_arrived:
            self.answer = True
        if response is not None:
            self.answer |= response[0].status_code >= 500
            self.some_taken |= response[0].status_code < 300


@contextmanager
def _watching_answers(sqs: SQSClient) -> Iterator[_Lost]:
    """Notice lost answers: botocore sends again after them by itself, and does not say so."""
    lost = _Lost()
    sqs.meta.events.register("needs-retry.sqs.SendMessageBatch", lost)
    try:
        yield lost
    finally:
        sqs.meta.events.unregister("needs-retry.sqs.SendMessageBatch", lost)


def _refused_all(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return 400 <= status < 500


def threads_worth(seconds: float, cpu_seconds: float) -> int:
    """How many threads keep the CPU busy while others wait for the network.

    Python runs one thread at a time: where there is nothing to wait for, more than one only
    costs (measured by benchmarks/submit_jobs.py).
    """
    waiting = seconds / max(cpu_seconds, 1e-6)
    return 1 if waiting < 2 else min(CONNECTIONS, round(2 * waiting))


def _from_threads(
    send: Callable[[Batch], Sent],
    work: Iterator[Batch],
    log: Log,
    threads: int,
) -> Iterator[Sent]:
    under_way: set[Future[Sent]] = set()
    failure: BaseException | None = None
    with ThreadPoolExecutor(threads) as pool:
        while failure is None:
            batch = next(work, None)
            if batch is None:
                break
            log.sending(batch)
            under_way.add(pool.submit(send, batch))
            if len(under_way) < threads:
                continue
            finished, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            failure = yield from _outcomes(finished)
        failure = (yield from _outcomes(under_way)) or failure
    if failure is not None:
        raise failure


def _outcomes(
    futures: Iterable[Future[Sent]],
) -> Generator[Sent, None, BaseException | None]:
    failure = None
    for future in futures:
        failure = future.exception() or failure
        if future.exception() is None:
            yield future.result()
    return failure


def entries_of(batch: Batch, run: Run) -> list[dict[str, Any]]:
    """Return the messages of a batch as SendMessageBatch takes them (contract 2)."""
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
