"""Forks the worker processes of a container."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from plumbing import process_tree
from plumbing.aws_clients import make_clients
from plumbing.console import say
from plumbing.job_process import SIGNALS
from plumbing.loop import work
from plumbing.outcome import Settler
from plumbing.settings import Settings
from plumbing.shared_state import Board
from plumbing.stop_flag import Flag
from plumbing.worker import Worker

if TYPE_CHECKING:
    import boto3

    from plumbing.job import Job
    from plumbing.machine import Identity

# How the container tells its workers to stop, and that the machine is to be taken away.
STOP, INTERRUPTION = signal.SIGTERM, signal.SIGUSR1
# So long a job waits for task protection before it starts without.
PROTECTION_SECONDS = 5.0


@dataclass(frozen=True)
class Crew:
    """What all workers of a container have in common."""

    settings: Settings
    session: boto3.Session
    folder: Path
    identity: Identity
    board: Board
    output_prefix: Callable[[Job], Any]
    run_job: Callable[[Job], object]

    def folder_of(self, index: int) -> Path:
        return self.folder / f"worker-{index}"


def start_worker(crew: Crew, index: int) -> int:
    """Fork a worker; returns its process id."""
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
    """What a worker process does; never returns."""
    code = 1
    try:
        process_tree.die_with_parent(parent)
        stop = Flag()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(STOP, lambda number, frame: stop.set("the container was told to stop"))
        signal.signal(INTERRUPTION, lambda number, frame: stop.set("spot interruption"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        work(_worker(crew, index, stop), index, crew.board)
        code = 0
    except SystemExit as end:
        say(f"worker {index} ends: {end}")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _worker(crew: Crew, index: int, stop: Flag) -> Worker:
    settings = crew.settings
    clients = make_clients(crew.session)
    folder = crew.folder_of(index)
    folder.mkdir()
    return Worker(
        settings=settings,
        clients=clients,
        settler=Settler(
            clients.s3, clients.sqs, settings.bucket, settings.queue_url, settings.dead_letter_queue
        ),
        stop=stop,
        folder=folder,
        identity=crew.identity,
        output_prefix=crew.output_prefix,
        run_job=crew.run_job,
        protect=lambda: crew.board.wait_for_protection(PROTECTION_SECONDS),
    )
