"""One worker: take a message, do what it says, settle it, take the next."""

from __future__ import annotations

import time
import traceback
from typing import Any, Callable, Mapping

from plumbing import machine
from plumbing import outcome as settle
from plumbing.attempt import Attempt
from plumbing.aws_clients import AWS_ERRORS, code_of, is_setup_fault
from plumbing.console import say
from plumbing.errors import Interrupted, LeaseLost
from plumbing.lease import Lease, boot_clock
from plumbing.message import Message, parse
from plumbing.shared_state import Board
from plumbing.worker import Worker

# The most that SQS takes for WaitTimeSeconds.
LONGEST_POLL = 20
# A poll is at most this share of the time that the worker has been idle. A poll that a stop finds
# under way must be waited for, since SQS may be handing out a message to it. So a stop after a few
# idle seconds takes a second, while a worker that is idle for long asks three times a minute.
POLL_SHARE = 1 / 8
# A message may wait for its answer at most this share of its visibility: the lease counts from
# the moment of asking.
POLL_SHARE_OF_VISIBILITY = 1 / 3
SECONDS_UNFIT = 10.0
# A machine that has stopped for what its jobs failed of tries one more after so long: it may have
# been the jobs, or somebody has mended it.
SECONDS_BEFORE_A_TRIAL = 600.0
# Why no job is taken is said again so often: the monitor looks for it among the newest lines.
SECONDS_BETWEEN_REFUSALS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


def poll_seconds(idle: float, visibility: float) -> int:
    """How long the next ReceiveMessage may wait, after so many idle seconds."""
    longest = min(LONGEST_POLL, idle * POLL_SHARE, visibility * POLL_SHARE_OF_VISIBILITY)
    return max(1, int(longest))


def work(
    worker: Worker,
    index: int,
    board: Board,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Do jobs until told to stop; an empty queue is polled quietly."""
    last_busy = clock()
    pause = FIRST_PAUSE
    refusals = _Refusals(index, clock)
    while not worker.stop.is_set:
        trouble = _trouble(worker, board, refusals.lasted)
        if trouble:
            refusals.say(f"takes no job: {trouble}")
            worker.stop.wait(SECONDS_UNFIT)
            continue
        try:
            wait = poll_seconds(clock() - last_busy, worker.settings.visibility)
            raw, asked = _receive(worker, wait)
        except AWS_ERRORS as error:
            why = f"no message to be had: {_explain(error)}"
            # What passes by itself is no reason to end the machine.
            refusals.say(f"takes no job: {why}" if is_setup_fault(error) else why)
            worker.stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            continue
        pause = FIRST_PAUSE
        refusals.end()
        if raw is not None:
            board.set_busy(index, True)
            try:
                board.count_fault(raw.get("MessageId", ""), attend(worker, raw, asked))
            finally:
                board.set_busy(index, False)
            last_busy = clock()


def attend(worker: Worker, raw: Mapping[str, Any], asked: float) -> str | None:
    """Do what a message says and settle it; for which reason of this machine's own it failed.

    "" if it did not; None if that cannot be said, since no job ran to its end. Never raises for
    anything about a message: the next may be better.
    """
    name = "a message"
    try:
        message = parse(raw, worker.settings.run_id)
        name = message.job_name
        return _attend(worker, message, asked)
    except LeaseLost as error:
        say(f"[{name}] nothing more is written: {error}")
    except Interrupted as error:
        say(f"[{name}] stopped before it was settled: {error}")
    except AWS_ERRORS as error:
        say(f"[{name}] could not be settled, it will come again: {error}")
        # What this job cannot write the next one cannot either.
        return str(error) if is_setup_fault(error) else None
    except Exception:
        # A bug of ours must not take the worker with it, nor the jobs that it would still do.
        traceback.print_exc()
        say(f"[{name}] unexpected error in the worker itself, please report it")
    return None


def _attend(worker: Worker, message: Message, asked: float) -> str | None:
    settings, sqs = worker.settings, worker.clients.sqs

    def extend(seconds: int) -> None:
        sqs.change_message_visibility(
            QueueUrl=settings.queue_url, ReceiptHandle=message.handle, VisibilityTimeout=seconds
        )

    lease = Lease(extend, settings.visibility, asked)
    attempt = Attempt(worker, message, lease)
    try:
        outcome = attempt.do()
        attempt.settle(outcome)
        if outcome.machine:
            return outcome.reason
        return "" if outcome.kind in (settle.DONE, settle.FAILED) and attempt.has_run else None
    finally:
        lease.close()
        attempt.close()


def _trouble(worker: Worker, board: Board, seconds: float) -> str:
    """Why no job can be taken, after so many seconds in which none could; "" if one can."""
    if board.faults >= machine.MOST_FAULTS and seconds < SECONDS_BEFORE_A_TRIAL:
        count, last = board.faults, board.last_fault
        whose = "of the machine or its image"
        return f"{count} jobs in a row failed for reasons {whose}, the last one: {last}"
    return machine.unfit(worker.folder, worker.settings.needs_mount) or _cannot_fork(worker)


def _cannot_fork(worker: Worker) -> str:
    """Why no process of a job can be started; "" if one can."""
    try:
        worker.fork_server.refresh()
    except OSError as error:
        return f"the machine can start no process: {error.strerror}"
    return ""


def _receive(worker: Worker, seconds: int) -> tuple[Mapping[str, Any] | None, float]:
    """One message or none, and when it was asked for."""
    asked = boot_clock()
    answer = worker.clients.receiver.receive_message(
        QueueUrl=worker.settings.queue_url,
        MaxNumberOfMessages=1,
        WaitTimeSeconds=seconds,
        VisibilityTimeout=worker.settings.visibility,
        MessageSystemAttributeNames=["ApproximateReceiveCount"],
        MessageAttributeNames=["All"],
    )
    messages = answer.get("Messages", [])
    return (messages[0] if messages else None), asked


def _explain(error: BaseException) -> str:
    if "NonExistentQueue" in code_of(error) or code_of(error) == "QueueDoesNotExist":
        return f"the queue does not exist (has the run ended?): {error}"
    return str(error)


class _Refusals:
    """Says why a worker takes no job: when that changes, and now and then while it lasts."""

    def __init__(self, index: int, clock: Callable[[], float]) -> None:
        self._index = index
        self._clock = clock
        self.end()

    def end(self) -> None:
        """It takes jobs."""
        self._began, self._said, self._due = float("inf"), "", float("-inf")

    @property
    def lasted(self) -> float:
        """For how many seconds it has taken none."""
        return max(0.0, self._clock() - self._began)

    def say(self, what: str) -> None:
        now = self._clock()
        self._began = min(self._began, now)
        if what == self._said and now < self._due:
            return
        say(f"worker {self._index}: {what}")
        self._said, self._due = what, now + SECONDS_BETWEEN_REFUSALS
