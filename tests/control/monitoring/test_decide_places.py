"""Machines that can take no container: what the monitor does with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.aws.ecs import ServiceState
from control.aws.sqs import Counts
from control.model import JobCounts
from control.monitoring.facts import EndMachines
from tests.control.readings import BUSY, NOW, PACE, actions, booting, empty

UNABLE = (
    "(service S) was unable to place a task because no container instance met all of its "
    "requirements. The closest matching (container-instance 1) {}."
)
OLD = PACE.register + 1


@pytest.mark.parametrize(
    ("word", "changes", "ends"),
    [
        ("has insufficient memory available", {}, True),
        ("has insufficient CPU units available", {}, True),
        ("has a disconnected agent", {}, False),
        ("", {}, False),
        ("has insufficient memory available", {"machines": (empty(1, launched=NOW - 60),)}, False),
        ("has insufficient memory available", {"machines": (booting(1, age=60),)}, False),
        ("has insufficient memory available", {"queue": Counts(5, 2, 0)}, False),
        ("has insufficient memory available", {"running": 1}, False),
        ("has insufficient memory available", {"pending": 1}, False),
    ],
    ids=["memory", "cpu", "agent", "nothing said", "young", "booting", "at work", "runs", "starts"],
)
def test_machines_on_which_no_container_has_a_place_are_ended_with_the_reason(word, changes, ends):
    """They cost money, and whatever comes in their place would not fit either."""
    changes = dict(changes)
    said = UNABLE.format(word) if word else ""
    state = ServiceState(1, changes.pop("running", 0), changes.pop("pending", 0), said)
    seen = replace(
        BUSY,
        **{
            **{"queue": Counts(5, 0, 0), "machines": (empty(1, launched=NOW - OLD),)},
            **{"service": state, "jobs": JobCounts(200, 3, 0, 0), **changes},
        },
    )
    (first, *_) = [*actions(seen), None]
    assert isinstance(first, EndMachines) is ends
    if ends:
        assert "does not fit on any machine" in first.why and not first.why.endswith(".")
