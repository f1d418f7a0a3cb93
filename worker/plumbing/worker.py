"""One worker process: take a message, do its job, settle it, take the next."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Tuple

from plumbing import machine, process_tree
from plumbing.attempt import Attempt
from plumbing.aws_clients import AWS_ERRORS, code_of, is_setup_fault, make_clients
from plumbing.console import say
from plumbing.errors import Interrupted, LeaseLost
from plumbing.fork_server import ForkServer
from plumbing.job import Job
from plumbing.lease import Lease, boot_clock
from plumbing.machine import Identity, Trouble
from plumbing.message import Message, parse
from plumbing.outcome import DONE, FAILED, Outcome, Settler
from plumbing.run_in_child import SIGNALS, perform
from plumbing.settings import Settings
from plumbing.shared_state import SharedState
from plumbing.stop_flag import StopFlag

if TYPE_CHECKING:
    import boto3

# How the container tells its workers to stop, and that the machine will be taken away.
STOP, INTERRUPTION = signal.SIGTERM, signal.SIGUSR1
# How long a job waits for task protection before it starts without it.
PROTECTION_SECONDS = 5.0
# The most that SQS accepts for WaitTimeSeconds.
LONGEST_POLL = 20
# A poll lasts at most this share of the worker's idle time. A stop must wait for the current poll,
# since SQS may be handing out a message to it. So a stop after a few idle seconds takes a second,
# while a worker that is idle for long polls three times a minute.
POLL_SHARE = 1 / 8
# A message may wait for its answer at most this share of its visibility: the lease counts from the
# request.
POLL_SHARE_OF_VISIBILITY = 1 / 3
SECONDS_UNFIT = 10.0
# A machine that accepts no jobs since its jobs failed tries one more after that long: the reason
# may have been the jobs, or somebody has fixed it.
SECONDS_BEFORE_A_TRIAL = 600.0
# How often the reason for accepting no jobs is repeated: the monitor reads the newest lines.
SECONDS_BETWEEN_REFUSALS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# Id, name, values and folder: a job, in this process and in its own.
Order = Tuple[str, str, Mapping[str, Any], Path]


@dataclass(frozen=True)
class Crew:
    """The things that all workers of a container share."""

    settings: Settings
    session: boto3.Session
    folder: Path
    identity: Identity
    state: SharedState
    output_prefix: Callable[[Job], Any]
    run_job: Callable[[Job], object]

    def folder_of(self, index: int) -> Path:
        return self.folder / f"worker-{index}"


class Worker:
    """One worker process; made in that process."""

    def __init__(self, crew: Crew, index: int, stop: StopFlag) -> None:
        settings = self.settings = crew.settings
        self.identity, self.state = crew.identity, crew.state
        self.output_prefix, self._run_job = crew.output_prefix, crew.run_job
        self.index, self.stop = index, stop
        self.clients = make_clients(crew.session)
        self.settler = Settler(
            self.clients.s3,
            self.clients.sqs,
            settings.bucket,
            settings.queue_url,
            settings.dead_letter_queue,
        )
        self.folder = crew.folder_of(index)
        self.folder.mkdir()

    @cached_property
    def fork_server(self) -> ForkServer:
        """Return the server that forks the processes in which orders are done."""
        return ForkServer(lambda order: perform(self.job_of(order), self._run_job))

    def job_of(self, order: Order) -> Job:
        job_id, name, values, folder = order
        return Job(
            id=job_id,
            name=name,
            values=values,
            config=self.settings.config,
            folder=folder,
            source_bucket=self.settings.source_bucket,
            s3=self.clients.s3_of_jobs,
        )

    def protect(self) -> None:
        """Wait for task protection."""
        self.state.wait_for_protection(PROTECTION_SECONDS)


def start_worker(crew: Crew, index: int) -> int:
    """Fork a worker; return its process id."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    parent = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            _be_worker(crew, index, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _be_worker(crew: Crew, index: int, parent: int) -> None:
    """Be a worker process; never return."""
    code = 1
    try:
        process_tree.die_with_parent(parent)
        stop = StopFlag()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(STOP, lambda number, frame: stop.set("the container was told to stop"))
        signal.signal(INTERRUPTION, lambda number, frame: stop.set("spot interruption"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        work(Worker(crew, index, stop))
        code = 0
    except SystemExit as end:
        say(f"worker {index} ends: {end}")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def work(worker: Worker, clock: Callable[[], float] = time.monotonic) -> None:
    """Do jobs until told to stop; poll an empty queue quietly."""
    state, index = worker.state, worker.index
    last_busy = clock()
    pause = FIRST_PAUSE
    refusals = _Refusals(index, clock)
    while not worker.stop.is_set:
        trouble = _trouble(worker, refusals.lasted)
        if trouble:
            refusals.say(refusal(trouble))
            worker.stop.wait(SECONDS_UNFIT)
            continue
        try:
            wait = poll_seconds(clock() - last_busy, worker.settings.visibility)
            raw, asked = _receive(worker, wait)
        except AWS_ERRORS as error:
            refusals.say(_not_received(error))
            worker.stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            continue
        pause = FIRST_PAUSE
        refusals.end()
        if raw is not None:
            state.set_busy(index, True)
            try:
                outcome = attend(worker, raw, asked)
                if outcome is not None:
                    state.count_fault(raw.get("MessageId", ""), fault_of(outcome))
            finally:
                state.set_busy(index, False)
            last_busy = clock()


def poll_seconds(idle: float, visibility: float) -> int:
    """Return how long the next ReceiveMessage may wait after `idle` seconds."""
    longest = min(LONGEST_POLL, idle * POLL_SHARE, visibility * POLL_SHARE_OF_VISIBILITY)
    return max(1, int(longest))


def attend(worker: Worker, raw: Mapping[str, Any], asked: float) -> Outcome | None:
    """Do what a message says and settle it; return how its job ended.

    None if that says nothing about the machine, since no job ran to its end. Never raise: the next
    message may be better.
    """
    name = "a message"
    try:
        message = parse(raw, worker.settings.app_name, worker.settings.run_id)
        name = message.job_name
        return _attend(worker, message, asked)
    except LeaseLost as error:
        say(f"[{name}] nothing more is written: {error}")
    except Interrupted as error:
        say(f"[{name}] stopped before it was settled: {error}")
    except AWS_ERRORS as error:
        say(f"[{name}] could not be settled, its message comes back: {error}")
        # What this job cannot write the next one cannot write either.
        if is_setup_fault(error):
            return Outcome(FAILED, str(error), "refused_by_aws", machine=True)
    except Exception:
        # A bug of ours must not end the worker and with it all further jobs.
        traceback.print_exc()
        say(f"[{name}] unexpected error in the worker itself, please report it")
    return None


def _attend(worker: Worker, message: Message, asked: float) -> Outcome | None:
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
        ran_to_its_end = attempt.has_run and outcome.kind in (DONE, FAILED)
        return outcome if outcome.machine or ran_to_its_end else None
    finally:
        lease.close()
        attempt.close()


def fault_of(outcome: Outcome) -> Trouble | None:
    """Return the fault of the machine that ended a job; None if it was the job's own."""
    if not outcome.machine:
        return None
    # A job that hangs in the kernel may have been interrupted: its cause says that.
    cause = outcome.cause if outcome.kind == FAILED else "machine_error"
    return Trouble(cause, outcome.reason)


def _trouble(worker: Worker, seconds: float) -> Trouble | None:
    """Return why no job can be accepted, after `seconds` without; None if one can."""
    state = worker.state
    if state.faults >= machine.MOST_FAULTS and seconds < SECONDS_BEFORE_A_TRIAL:
        cause, last = state.last_fault
        row = f"{state.faults} jobs in a row failed for reasons of the machine or its image"
        return Trouble(cause, f"{row}, the last one: {last}")
    unfit = machine.unfit(worker.folder, worker.settings.needs_mount)
    if unfit:
        return unfit
    try:
        worker.fork_server.refresh()
    except OSError as error:
        reason = f"the machine cannot start a process: {error.strerror}"
        return Trouble("machine_error", reason)
    return None


def _receive(worker: Worker, seconds: int) -> tuple[Mapping[str, Any] | None, float]:
    """Return one message or none, and when it was requested."""
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


def _not_received(error: BaseException) -> str:
    code = code_of(error)
    if "NonExistentQueue" in code or code == "QueueDoesNotExist":
        why = f"the queue does not exist (has the run ended?): {error}"
        return refusal(Trouble("queue_gone", why))
    why = f"could not receive a message: {error}"
    # An error that may pass is no reason to end the machine.
    return refusal(Trouble("refused_by_aws", why)) if is_setup_fault(error) else why


def refusal(trouble: Trouble) -> str:
    """Return the line by which control knows why a worker accepts no jobs: contract.md."""
    return f"accepts no jobs [{trouble.cause}]: {trouble.reason}"


class _Refusals:
    """Says why a worker accepts no jobs: when that changes, and now and then while it lasts."""

    def __init__(self, index: int, clock: Callable[[], float]) -> None:
        self._index = index
        self._clock = clock
        self.end()

    def end(self) -> None:
        """Note that it accepts jobs."""
        self._began, self._said, self._due = float("inf"), "", float("-inf")

    @property
    def lasted(self) -> float:
        """Return for how many seconds it has accepted none."""
        return max(0.0, self._clock() - self._began)

    def say(self, what: str) -> None:
        now = self._clock()
        self._began = min(self._began, now)
        if what == self._said and now < self._due:
            return
        say(f"worker {self._index}: {what}")
        self._said, self._due = what, now + SECONDS_BETWEEN_REFUSALS
