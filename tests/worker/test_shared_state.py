from __future__ import annotations

import os
import select

import pytest

from plumbing.machine import MOST_FAULTS
from plumbing.shared_state import NOT_OFFERED, PROTECTED, UNPROTECTED, Board


def woken(board):
    return bool(select.select([board.wake_read], [], [], 0)[0])


def test_what_one_process_writes_another_reads():
    board = Board(2)
    pid = os.fork()
    if pid == 0:
        board.set_busy(1, True)
        board.count_fault("00ff", "a disk of no size")
        os._exit(0)
    os.waitpid(pid, 0)

    assert board.anybody_busy()
    assert (board.faults, board.last_fault) == (1, "a disk of no size")
    assert woken(board)
    board.drain()
    assert not woken(board)


def test_without_an_agent_to_ask_nobody_is_woken():
    board = Board(1)
    board.protection = NOT_OFFERED

    board.set_busy(0, True)

    assert board.anybody_busy() and not woken(board)


@pytest.mark.parametrize(("state", "waits"), [(UNPROTECTED, True), (PROTECTED, False)])
def test_a_worker_waits_for_protection_but_not_for_long(state, waits):
    board = Board(1)
    board.protection = state
    now, waited = [0.0], []

    def wait(seconds):
        waited.append(seconds)
        now[0] += seconds

    board.wait_for_protection(5, clock=lambda: now[0], wait=wait)

    assert bool(waited) is waits
    assert sum(waited) < 5.1


def test_faults_in_a_row_are_counted_until_there_are_too_many():
    board = Board(1)
    for number in range(300):
        board.count_fault(f"{number:016x}", f"reason {number}")
        assert board.faults == min(number + 1, MOST_FAULTS)
        assert board.last_fault == f"reason {number}"

    board.count_fault("00ff", "")

    assert board.faults == 0


@pytest.mark.parametrize("why", ["x" * 2000, "ä" * 2000, "lone \ud800 surrogate"])
def test_a_reason_of_any_length_and_kind_spoils_nothing_else(why):
    board = Board(2)

    board.count_fault("00ff", why)

    assert board.faults == 1 and not board.anybody_busy()
    assert why.startswith(board.last_fault[:5]) and len(board.last_fault) >= 5


def test_one_job_that_fails_again_and_again_is_one_fault():
    board = Board(1)
    for _ in range(3):
        board.count_fault("00ff00ff00ff00ff", "no disk")

    assert board.faults == 1


def test_a_receive_that_says_nothing_about_the_machine_leaves_the_row_alone():
    board = Board(1)
    board.count_fault("00ff", "no disk")

    board.count_fault("00aa", None)

    assert board.faults == 1
