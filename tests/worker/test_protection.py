from __future__ import annotations

import http.server
import json
import threading

import pytest

from plumbing import protection
from plumbing.protection import Protection
from plumbing.shared_state import NOT_OFFERED, PROTECTED, REFUSED, UNPROTECTED, SharedState


@pytest.fixture
def agent():
    """The ECS agent's endpoint; `answer` is its response, `wishes` what it received."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            assert self.path == "/api/task-protection/v1/state"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.wishes.append(json.loads(body))
            status, content = self.server.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.wishes = []
    server.answer = (200, '{"protection": {"ProtectionEnabled": true}}')
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    server.environ = {"ECS_AGENT_URI": f"http://127.0.0.1:{server.server_port}/api"}
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def task(agent):
    board, clock = SharedState(2), Clock()
    return Protection(agent.environ, board, clock), board, clock


def test_a_task_is_protected_while_any_worker_is_busy_and_no_longer(task, agent):
    protecting, board, clock = task
    protecting.step()
    assert agent.wishes == []

    board.set_busy(1, True)
    protecting.step()
    assert board.protection == PROTECTED
    assert agent.wishes == [{"ProtectionEnabled": True, "ExpiresInMinutes": 60}]

    board.set_busy(1, False)
    assert protecting.step() == clock.now + protection.SECONDS_IDLE
    assert len(agent.wishes) == 1
    clock.now += protection.SECONDS_IDLE
    protecting.step()

    assert agent.wishes[-1] == {"ProtectionEnabled": False}
    assert board.protection == UNPROTECTED


def test_between_two_jobs_nothing_is_asked(task, agent):
    protecting, board, clock = task
    for _ in range(20):
        board.set_busy(0, True)
        protecting.step()
        board.set_busy(0, False)
        clock.now += 1
        protecting.step()

    assert len(agent.wishes) == 1


def test_it_is_renewed_long_before_it_ends(task, agent):
    protecting, board, clock = task
    board.set_busy(0, True)
    due = protecting.step()

    assert due - clock.now < protection.MINUTES * 60 / 2
    clock.now = due
    protecting.step()

    assert len(agent.wishes) == 2


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((400, '{"failure": {"Reason": "DEPLOYMENT_BLOCKED"}}'), "DEPLOYMENT_BLOCKED"),
        ((403, '{"error": {"Code": "AccessDenied", "Message": "not allowed"}}'), "not allowed"),
        ((500, "<html>"), "<html>"),
    ],
)
def test_a_refusal_is_logged_and_the_request_tried_again(task, agent, capfd, answer, word):
    protecting, board, clock = task
    agent.answer = answer
    board.set_busy(0, True)
    due = protecting.step()

    assert board.protection == REFUSED
    out = capfd.readouterr().out
    assert "refused" in out and word in out

    agent.answer = (200, '{"protection": {}}')
    clock.now = due
    protecting.step()
    assert board.protection == PROTECTED


REFUSAL = (400, '{"failure": {"Reason": "DEPLOYMENT_BLOCKED"}}')
GRANTED = (200, '{"protection": {}}')


def test_an_idle_task_is_always_called_again_later_and_never_at_once(task, agent):
    protecting, board, clock = task
    assert protecting.step() > clock.now
    for refused in ("wish", "renewal", "release"):
        agent.answer = REFUSAL if refused == "wish" else GRANTED
        board.set_busy(0, True)
        clock.now = min(protecting.step(), clock.now + 1e6)
        agent.answer = REFUSAL if refused == "renewal" else GRANTED
        protecting.step()
        board.set_busy(0, False)
        agent.answer = REFUSAL if refused == "release" else GRANTED
        for _ in range(5):
            due = protecting.step()
            assert due > clock.now, refused
            clock.now = min(due, clock.now + 1000.0)


def test_a_release_that_was_refused_is_tried_again(task, agent, capfd):
    protecting, board, clock = task
    board.set_busy(0, True)
    protecting.step()
    board.set_busy(0, False)
    agent.answer = REFUSAL
    clock.now = protecting.step()
    clock.now = protecting.step()
    assert "not released" in capfd.readouterr().out

    agent.answer = GRANTED
    assert protecting.step() == float("inf")

    assert agent.wishes[1:] == [{"ProtectionEnabled": False}] * 2
    assert board.protection == UNPROTECTED


def test_what_is_left_of_a_protection_that_was_not_renewed_is_released(task, agent):
    protecting, board, clock = task
    board.set_busy(0, True)
    clock.now = protecting.step()
    agent.answer = REFUSAL
    protecting.step()
    assert board.protection == REFUSED

    agent.answer = GRANTED
    board.set_busy(0, False)
    protecting.step()

    assert agent.wishes[-1] == {"ProtectionEnabled": False}


def test_a_refused_release_does_not_keep_a_task_from_being_protected_again(task, agent):
    protecting, board, clock = task
    board.set_busy(0, True)
    protecting.step()
    board.set_busy(0, False)
    agent.answer = REFUSAL
    clock.now = protecting.step()
    protecting.step()

    agent.answer = GRANTED
    board.set_busy(1, True)
    protecting.step()

    assert board.protection == PROTECTED


def test_an_agent_that_does_not_answer_is_a_refusal(capfd):
    board = SharedState(1)
    protecting = Protection({"ECS_AGENT_URI": "http://127.0.0.1:9"}, board, Clock())
    board.set_busy(0, True)

    protecting.step()

    assert board.protection == REFUSED
    assert "does not answer" in capfd.readouterr().out


def test_outside_ecs_there_is_nothing_to_do():
    board = SharedState(1)
    protecting = Protection({}, board, Clock())
    board.set_busy(0, True)

    assert protecting.step() == float("inf")
    assert board.protection == NOT_OFFERED


def test_a_worker_that_becomes_busy_in_the_moment_of_the_release_stays_protected(task, agent):
    protecting, board, clock = task
    board.set_busy(0, True)
    protecting.step()
    board.set_busy(0, False)
    protecting.step()
    clock.now += protection.SECONDS_IDLE
    looks = iter([False, True, True])
    board.anybody_busy = lambda: next(looks)

    protecting.step()

    assert board.protection == PROTECTED
    assert {"ProtectionEnabled": False} not in agent.wishes
