from __future__ import annotations

import os
import select

import pytest

from plumbing.machine_health import MOST_FAULTS, Trouble
from plumbing.shared_state import NOT_OFFERED, PROTECTED, UNPROTECTED, SharedState


def woken(state):
    return bool(select.select([state.wake_read], [], [], 0)[0])


def test_what_one_process_writes_another_reads():
    state = SharedState(2)
    pid = os.fork()
    if pid == 0:
        state.set_busy(1, True)
        state.count_fault("00ff", Trouble("disk_full", "a disk of no size"))
        os._exit(0)
    os.waitpid(pid, 0)

    assert state.anybody_busy()
    assert (state.faults, state.last_fault) == (1, ("disk_full", "a disk of no size"))
    assert woken(state)
    state.drain()
    assert not woken(state)


def test_without_an_agent_to_ask_nobody_is_woken():
    state = SharedState(1)
    state.protection = NOT_OFFERED

    state.set_busy(0, True)

    assert state.anybody_busy() and not woken(state)


@pytest.mark.parametrize(("protection", "waits"), [(UNPROTECTED, True), (PROTECTED, False)])
def test_a_worker_waits_for_protection_but_not_for_long(protection, waits):
    state = SharedState(1)
    state.protection = protection
    now, waited = [0.0], []

    def wait(seconds):
        waited.append(seconds)
        now[0] += seconds

    state.wait_for_protection(5, clock=lambda: now[0], wait=wait)

    assert bool(waited) is waits
    assert sum(waited) < 5.1


def test_faults_in_a_row_are_counted_until_there_are_too_many():
    state = SharedState(1)
    for number in range(300):
        state.count_fault(f"{number:016x}", Trouble("timeout", f"reason {number}"))
        assert state.faults == min(number + 1, MOST_FAULTS)
        assert state.last_fault == ("timeout", f"reason {number}")

    state.count_fault("00ff", None)

    assert state.faults == 0


@pytest.mark.parametrize("why", ["x" * 2000, "ä" * 2000, "lone \ud800 surrogate"])
def test_a_reason_of_any_length_and_kind_spoils_nothing_else(why):
    state = SharedState(2)

    state.count_fault("00ff", Trouble("signal", why))

    assert state.faults == 1 and not state.anybody_busy()
    assert why.startswith(state.last_fault.reason[:5]) and len(state.last_fault.reason) >= 5


def test_one_job_that_fails_again_and_again_is_one_fault():
    state = SharedState(1)
    for _ in range(3):
        state.count_fault("00ff00ff00ff00ff", Trouble("disk_full", "no disk"))

    assert state.faults == 1
