from __future__ import annotations

import os
import select

import pytest

from plumbing.board import NOT_OFFERED, PROTECTED, UNPROTECTED, Board


def woken(board):
    return bool(select.select([board.wake_read], [], [], 0)[0])


def test_what_one_process_writes_another_reads():
    board = Board(2)
    pid = os.fork()
    if pid == 0:
        board.set_busy(1, True)
        board.count_fault(True)
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


def test_faults_in_a_row_are_counted_without_end():
    board = Board(1)
    for _ in range(300):
        board.count_fault(True)
    assert board.faults == 255
    board.count_fault(False)
    assert board.faults == 0
