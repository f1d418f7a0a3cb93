"""ECS task protection: scale-in does not stop this task while any of its workers has a job.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

from __future__ import annotations

import json
from typing import Callable, Mapping

from plumbing.console import say
from plumbing.instance_metadata import ask
from plumbing.shared_state import NOT_OFFERED, PROTECTED, REFUSED, UNPROTECTED, SharedState

MINUTES = 60
# Long before it ends, so that some renewals may fail.
RENEW_AFTER = MINUTES * 60 / 3
AGAIN_AFTER_REFUSAL = 30.0
# Between two jobs it stays on, so that a busy task does not make two requests a job.
SECONDS_IDLE = 10.0
_ANSWER_SECONDS = 4.0


class Protection:
    """Keeps the protection in step with the workers; step() returns when to call it again."""

    def __init__(self, environ: Mapping[str, str], state: SharedState, clock: Callable[[], float]):
        self._agent = environ.get("ECS_AGENT_URI", "")
        self._state = state
        self._clock = clock
        self._next = float("inf")
        self._busy_until = 0.0
        # Whether the agent may still protect the task: it granted that, and nothing else since.
        self._granted = False
        self._state.protection = UNPROTECTED if self._agent else NOT_OFFERED

    def step(self) -> float:
        """Protect, renew or release if it is time; return when to call it again."""
        if not self._agent:
            return float("inf")
        now = self._clock()
        if self._state.anybody_busy():
            self._busy_until = now
            if self._state.protection == UNPROTECTED or now >= self._next:
                self._protect()
            return self._next
        if self._state.protection == PROTECTED:
            if now < self._busy_until + SECONDS_IDLE:
                return self._busy_until + SECONDS_IDLE
            self._release()
        elif self._state.protection == REFUSED or (self._granted and now >= self._next):
            self._release()
        return self._next

    def _protect(self) -> None:
        refusal = self._put({"ProtectionEnabled": True, "ExpiresInMinutes": MINUTES})
        now = self._clock()
        if refusal:
            say(f"task protection was refused, work continues without it: {refusal}")
        self._granted = self._granted or not refusal
        self._state.protection = REFUSED if refusal else PROTECTED
        self._next = now + (AGAIN_AFTER_REFUSAL if refusal else RENEW_AFTER)

    def _release(self) -> None:
        # A worker that becomes busy sets its byte first and then reads this one: either it sees
        # UNPROTECTED and waits, or the second check here sees that it is busy.
        before = self._state.protection
        self._state.protection = UNPROTECTED
        if self._state.anybody_busy():
            self._state.protection = before
            return
        self._next = float("inf")
        refusal = self._put({"ProtectionEnabled": False}) if self._granted else ""
        if refusal:
            say(f"task protection was not released, retrying: {refusal}")
            self._next = self._clock() + AGAIN_AFTER_REFUSAL
        self._granted = bool(refusal)

    def _put(self, request: Mapping[str, object]) -> str:
        """Send the request; return why the agent refuses, "" if it does not."""
        answer = ask(
            "PUT",
            f"{self._agent}/task-protection/v1/state",
            _ANSWER_SECONDS,
            {"Content-Type": "application/json"},
            json.dumps(request).encode(),
        )
        if answer is None:
            return "the ECS agent does not answer"
        try:
            content = json.loads(answer.text)
        except ValueError:
            content = {}
        if answer.status == 200 and "protection" in content:
            return ""
        fault = content.get("failure") or content.get("error") or {}
        return str(fault.get("Reason") or fault.get("Message") or answer.text[:200])
