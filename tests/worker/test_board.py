from __future__ import annotations

import os
import select

import pytest

from plumbing.board import NOT_OFFERED, PROTECTED, UNPROTECTED, Board
from plumbing.machine import MOST_FAULTS


def woken(board):
    return bool(select.select([board.wake_read], [], [], 0)[0])


def test_what_one_process_writes_another_reads():
    board = Board(2)
    pid = os.fork()
    if pid == 0:
        board.set_busy(1, True)
        board.count_fault("00ff", True)
        os._exit(0)
    os.waitpid(pid, 0)

    assert board.anybody_busy() and board.faults == 1
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
        board.count_fault(f"{number:016x}", True)
        assert board.faults == min(number + 1, MOST_FAULTS)

    board.count_fault("00ff", False)

    assert board.faults == 0


def test_one_job_that_fails_again_and_again_is_one_fault():
    board = Board(1)
    for _ in range(3):
        board.count_fault("00ff00ff00ff00ff", True)

    assert board.faults == 1


def test_a_receive_that_says_nothing_about_the_machine_leaves_the_row_alone():
    board = Board(1)
    board.count_fault("00ff", True)

    board.count_fault("00aa", None)

    assert board.faults == 1
