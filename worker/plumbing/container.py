"""The container: starts DOCKER_CORES workers, keeps them alive, and stops them in order.

It may be process 1 of its container or any other process. A single thread waits for signals, for
workers, and for the time of its next duty.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterator

from plumbing import process_tree, workfolder
from plumbing.aws_clients import make_session
from plumbing.console import say
from plumbing.instance_metadata import Metadata
from plumbing.machine_health import MOUNT, Load
from plumbing.process_tree import signal_name
from plumbing.protection import Protection
from plumbing.settings import SettingsError, read_settings
from plumbing.shared_state import SharedState
from plumbing.worker import INTERRUPTION, STOP, Crew, start_worker

if TYPE_CHECKING:
    from plumbing.job import Job

MOUNT_LOST, USER_MISTAKE = 1, 2
# "poll for the notice every 5 seconds" (EC2 User Guide, spot instance interruption notices).
NOTICE_SECONDS = 5.0
LOAD_SECONDS = 60.0
# ECS kills a task stopTimeout after SIGTERM; setup makes that 110 s.
STOP_SECONDS = 100.0
FIRST_RESTART, LONGEST_RESTART = 1.0, 60.0
# A worker that lived this long before it died starts again after the first pause.
HEALTHY_SECONDS = 300.0
# Each round kills one generation of strays.
MOST_ROUNDS = 20
_NEVER = float("inf")


@dataclass
class Slot:
    """The place of one worker process. `due`: when to start it, while it has no pid."""

    index: int
    due: float
    pid: int = 0
    started: float = 0.0
    pause: float = FIRST_RESTART


@dataclass
class Container:
    """The state of the supervising process. `ending`: why it starts no more workers.

    `spared` are its children from before, such as the mount by run-worker.sh. `code` is the exit
    code.
    """

    state: SharedState
    slots: list[Slot]
    spared: set[process_tree.Process]
    ending: str = ""
    stopped: bool = False
    code: int = 0


def main(output_prefix: Callable[[Job], Any], run_job: Callable[[Job], object]) -> None:
    """Run the container until it is told to stop.

    Exit with 0; with 2 and a sentence on bad settings, with 1 when a mounted bucket is gone.
    """
    try:
        settings = read_settings(os.environ)
        workfolder.remove_leftovers(settings.work_folder)
        folder = workfolder.make(settings.work_folder)
    except (SettingsError, OSError) as error:
        say(f"Error: {error}")
        sys.exit(USER_MISTAKE)
    now = time.monotonic()
    container = Container(
        state=SharedState(settings.workers),
        slots=[Slot(i, now + i * settings.seconds_to_start) for i in range(settings.workers)],
        spared=process_tree.children(os.getpid()),
    )
    # Early: the kernel discards signals for which a process 1 has no handler.
    _take_signals(container)
    process_tree.adopt_orphans()
    metadata = Metadata(os.environ)
    crew = Crew(
        settings=settings,
        session=make_session(settings.region),
        folder=folder,
        identity=metadata.identity(),
        state=container.state,
        output_prefix=output_prefix,
        run_job=run_job,
    )
    # All that exists now stays shared with the workers: the garbage collector skips it.
    gc.collect()
    gc.freeze()
    try:
        if metadata.trouble and not metadata.disabled:
            say(f"container: {metadata.trouble}; interruption notices are not seen")
        say(f"container: {settings.workers} workers of {settings.app_name} on {crew.identity}")
        _supervise(container, crew, metadata)
        _stop(container, crew)
    finally:
        workfolder.remove(folder)
    # Python removes its handlers before it ends; another signal would then kill it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    say("container: stopped")
    sys.exit(container.code)


def _take_signals(container: Container) -> None:
    def on_stop(number: int, _frame: Any) -> None:
        container.stopped = True
        _tell_workers(container, f"told to stop by {signal_name(number)}", STOP)

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    # With a handler a signal wakes the container by the pipe of the shared state.
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(container.state.wake_write, warn_on_full_buffer=False)


def _tell_workers(container: Container, why: str, number: int) -> None:
    """Tell every worker to stop and start no other. Signal handlers call this too."""
    if not container.ending:
        container.ending = why
    for slot in container.slots:
        if slot.pid:
            # The worker may have just ended.
            with contextlib.suppress(ProcessLookupError):
                os.kill(slot.pid, number)


def _supervise(container: Container, crew: Crew, metadata: Metadata) -> None:
    """Run workers until SIGTERM or SIGINT.

    After an interruption notice the workers end and the container waits for its own end: ECS would
    replace a container that ends by itself with another on the same machine.
    """
    protection = Protection(os.environ, container.state, time.monotonic)
    load = Load(crew.folder, time.monotonic)
    notice_due = time.monotonic() if metadata.there else _NEVER
    load_due = time.monotonic() + LOAD_SECONDS
    while not container.stopped:
        now = time.monotonic()
        if now >= notice_due:
            notice = metadata.interruption()
            # Nothing follows it.
            notice_due = _NEVER if notice else now + NOTICE_SECONDS
            if notice:
                say(f"container: {notice}")
                _tell_workers(container, notice, INTERRUPTION)
        if now >= load_due:
            say(load.line())
            load_due = now + LOAD_SECONDS
            _end_strays(container)
        protection_due = protection.step()
        start_due = _start_workers(container, crew, now)
        _wait(container, min(notice_due, load_due, protection_due, start_due))
        _reap(container, crew)


def _wait(container: Container, until: float) -> None:
    """Sleep until a time, or until a signal or a worker wakes the container."""
    seconds = max(0.0, until - time.monotonic())
    select.select([container.state.wake_read], [], [], seconds)
    container.state.drain()


def _start_workers(container: Container, crew: Crew, now: float) -> float:
    """Start the workers that are due; return when the next one is."""
    if container.ending:
        return _NEVER
    for slot in container.slots:
        if not slot.pid and slot.due <= now:
            slot.started = now
            try:
                slot.pid = start_worker(crew, slot.index)
            except OSError as error:
                say(f"container: worker {slot.index} cannot be started: {error}")
                _back_off(slot, now)
    return min((slot.due for slot in container.slots if not slot.pid), default=_NEVER)


def _reap(container: Container, crew: Crew) -> None:
    """Wait for ended children; clean up after a worker, which starts again later."""
    for pid, status in _ended():
        if crew.settings.needs_mount and pid in {process.pid for process in container.spared}:
            _lose_mount(container, status)
        for slot in container.slots:
            if slot.pid == pid:
                _clean_up(container, crew, slot, status)


def _ended() -> Iterator[tuple[int, int]]:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            yield pid, status


def _clean_up(container: Container, crew: Crew, slot: Slot, status: int) -> None:
    slot.pid = 0
    _end_strays(container)
    workfolder.remove(crew.folder_of(slot.index))
    container.state.set_busy(slot.index, False)
    if container.ending:
        return
    now = time.monotonic()
    if now - slot.started > HEALTHY_SECONDS:
        slot.pause = FIRST_RESTART
    say(f"container: worker {slot.index} {_how(status)}; it starts again in {slot.pause:g} s")
    _back_off(slot, now)


def _lose_mount(container: Container, status: int) -> None:
    """End the container, which gives its jobs back: the next one mounts the bucket again."""
    # The kernel caches attributes for a second; opening a folder asks the program.
    with contextlib.suppress(OSError), os.scandir(MOUNT):
        if os.path.ismount(MOUNT):
            return
    why = f"the bucket at {MOUNT} is no longer mounted: its program {_how(status)}"
    say(f"container: {why}; jobs are given back")
    container.code = MOUNT_LOST
    container.stopped = True
    _tell_workers(container, why, STOP)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was ended by {signal_name(os.WTERMSIG(status))}"
    return f"exited with code {os.WEXITSTATUS(status)}"


def _back_off(slot: Slot, now: float) -> None:
    slot.due = now + slot.pause
    slot.pause = min(2 * slot.pause, LONGEST_RESTART)


def _end_strays(container: Container) -> None:
    """Kill processes that jobs left behind: children of this process that are no workers."""
    workers = {slot.pid for slot in container.slots if slot.pid}
    clean = 0
    # Twice clean: a process that loses its parent during one round is found in the next.
    for _ in range(MOST_ROUNDS):
        mine = process_tree.living(process_tree.children(os.getpid()) - container.spared)
        strays = {process for process in mine if process.pid not in workers}
        clean = 0 if strays else clean + 1
        if clean == 2:
            return
        process_tree.kill(strays)


def _stop(container: Container, crew: Crew) -> None:
    """Wait until all workers have ended, while ECS waits; then kill the others."""
    # Again: a worker that was being forked when the signal came does not know.
    _tell_workers(container, container.ending, STOP)
    deadline = time.monotonic() + STOP_SECONDS
    while any(slot.pid for slot in container.slots):
        if time.monotonic() >= deadline:
            say("container: a worker did not stop in time and is killed")
            for slot in container.slots:
                if slot.pid:
                    os.kill(slot.pid, signal.SIGKILL)
        _wait(container, time.monotonic() + 1)
        _reap(container, crew)
    _end_strays(container)
