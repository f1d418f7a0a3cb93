"""Every verb, interrupted, denied or throttled at the calls that it makes to AWS.

At a sample of the calls; with --every-point at every single one.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
import types

import pytest

from control import cli
from control.aws import session
from control.errors import ExplainedError
from control.monitoring import auto_monitor
from control.monitoring.pace import Pace
from control.records import job_objects
from control.verbs import monitor, start_cluster
from tests import account_state
from tests.conftest import ROOT
from tests.injection import Broken, changing, numbered
from tests.typed_verbs import Verbs

AT_ONCE = Pace(poll=0.05, settle=0.1, spare=0.1, register=60)
POINTS = 3  # of each verb, unless --every-point takes all
ZERO = {"ApproximateNumberOfMessages": "0"}


@pytest.fixture(scope="module")
def unbroken_ones():
    """The (calls, state) of each verb when nothing goes wrong, each made once."""
    return {}


@pytest.fixture
def verbs(breakable, embedded, project, unbroken_ones, monkeypatch):
    """The verbs of new projects, as they are typed."""
    aws, injection = breakable
    monkeypatch.setattr(session, "connect", lambda config: aws)
    monkeypatch.setattr(monitor, "Pace", lambda: AT_ONCE)
    # It only watches, and without success: the containers fit on no machine.
    monkeypatch.setattr(start_cluster, "wait_for_machines", lambda *_, **__: True)
    # Pauses of botocore before it tries again.
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda _: None))
    # A fault belongs to a call: no two at the same time.
    monkeypatch.setattr(job_objects, "CONNECTIONS", 1)
    made = Verbs(aws, injection, project)
    made.unbroken = unbroken_ones
    yield made
    made.tidy()


# verb -> the world in which it starts, first and for each later interruption
WORLDS = {
    "setupAWS": "with_empty_account",
    "setup": "with_nothing",
    "startCluster": "with_jobs_again",
    "monitor": "with_all_done",
    "stop": "with_machines_again",
    "retry": "with_ended_run",
    "auto-monitor": "with_all_done",
}
# Interruptions while jobs are sent are counted job by job: tests/control/verbs/test_retry.py.
TYPED = [verb for verb in WORLDS if verb != "auto-monitor"]
INTERRUPTED = [verb for verb in TYPED if verb != "retry"]
ENDS = ("monitor", "stop", "auto-monitor")
UNSAID = ("/auto-monitor.json", "run.json/schedule")


def unbroken(verbs, verb):
    """Return (calls, state) of the verb when nothing goes wrong.

    The number of calls may differ a little from time to time: a machine is up already, or not.
    """
    known = verbs.unbroken
    key = verb, bool(verbs.auto_monitor)
    if key not in known:
        getattr(verbs, WORLDS[verb])()
        verbs.type(verb)
        calls, state = list(verbs.injection.calls), verbs.state()
        if verb in ENDS:
            assert account_state.machines_up(verbs.aws, verbs.config) == 0
            assert state["fleets"] == [] and state["alarms"] == 0
            assert state["launch templates"] == []
        known[key] = calls, state
    return known[key]


@pytest.mark.parametrize("verb", INTERRUPTED)
def test_interrupted_after_any_call_a_verb_is_completed_by_the_next(verbs, verb, sample):
    interrupt_everywhere(verbs, verb, sample)


@pytest.mark.parametrize("verb", ["startCluster", "stop", "auto-monitor"])
def test_interrupted_after_any_call_with_the_auto_monitor_on(verbs, verb, sample, monkeypatch):
    """Its schedule is begun and ended too; its own step is interrupted like a verb, and the step of
    the next minute completes it."""
    monkeypatch.setattr(session, "AWS", lambda session: verbs.aws)
    monkeypatch.setattr(auto_monitor, "Pace", lambda: AT_ONCE)
    verbs.watched()
    expected = interrupt_everywhere(verbs, verb, sample)
    assert len(expected["schedules"]) == (verb not in ENDS)


def interrupt_everywhere(verbs, verb, sample):
    """Interrupt the verb after calls that can change something, complete it, and compare.

    Return the state.
    """
    calls, expected = unbroken(verbs, verb)
    wanted = len(changing(calls))
    points = sample(range(1, wanted + 1), POINTS)
    for k in points:
        getattr(verbs, WORLDS[verb])()
        broken = interrupt(verbs, verb, k)
        if broken is None:
            # It has ended with fewer calls than at first.
            assert k > 0.9 * wanted
            continue
        made = list(verbs.injection.calls) if verb == "auto-monitor" else []
        verbs.type(verb)
        differs = verbs.differs_from(expected)
        if ("scheduler", "DeleteSchedule") in made:
            # Without its schedule it is not called again, so what it only reports may be missing.
            differs = [d for d in differs if not d.split(": ")[0].endswith(UNSAID)]
        assert differs == [], f"interrupted {broken}"
        if verb in ENDS:
            assert account_state.machines_up(verbs.aws, verbs.config) == 0
    print(
        f"{verb}: interrupted after {len(points)} of {wanted} changing calls; {len(calls)} in all"
    )
    return expected


def interrupt(verbs, verb, k):
    """Interrupt the verb after its k-th call that can change something; return None if it ends
    before that."""
    try:
        verbs.type(verb, break_after=k)
    except Broken as broken:
        return broken
    return None


@pytest.mark.parametrize("verb", TYPED)
def test_each_call_throttled_once_changes_nothing(verbs, verb):
    calls, expected = unbroken(verbs, verb)
    getattr(verbs, WORLDS[verb])()
    throttled = verbs.type(verb, throttle=True)
    print(f"{verb}: each of {len(calls)} calls throttled once, {throttled} calls")
    assert throttled > 0.9 * len(calls)
    assert verbs.differs_from(expected) == []


@pytest.mark.parametrize("verb", TYPED)
def test_a_denied_call_names_the_permission_and_with_it_the_verb_goes_on(verbs, verb, sample):
    made, expected = unbroken(verbs, verb)
    calls = numbered(made)
    allowed = set(calls) - set(sample(calls, POINTS))
    getattr(verbs, WORLDS[verb])()
    denied = denied_once_each(verbs, verb, allowed)
    print(f"{verb}: {len(denied) - len(allowed)} calls denied once, {len(made)} made without")
    # The reading calls depend on what is up already, and a machine whose end was denied after it
    # ended leaves the cluster by itself.
    wanted = set(changing(made))
    wanted -= {("ecs", "DeregisterContainerInstance")}
    assert {call[:2] for call in denied} >= wanted
    assert verbs.differs_from(expected) == []


def denied_once_each(verbs, verb, allowed):
    """Type the verb until no call is left to deny; every error must name the permission.

    Returns the calls that were denied, and those that were `allowed` at once.
    """
    denied = set(allowed)
    for _ in range(200):
        before = set(denied)
        try:
            verbs.type(verb, deny_beside=denied)
        except Exception as error:
            ((service, operation, _),) = denied - before
            said = cli.explain(error)
            permission = f"{PREFIXES.get(service, service)}:{ACTIONS.get(operation, operation)}"
            assert permission in f"{said.what} {said.fix}", f"{service}:{operation}: {said}"
            continue
        assert denied == before, f"a denial was swallowed: {denied - before}"
        return denied
    raise AssertionError(f"{verb} never came to its end")


def template_is_there(verbs):
    """Return whether the call before RequestSpotFleet has been made."""
    return verbs.state()["launch templates"] != []


def service_is_gone(verbs):
    """Return whether the end of the run has begun."""
    return verbs.state()["cluster"] == []


def killed_at(moment, verbs, verb):
    """Type a verb as a process of its own, and kill it then; whether that was before its end."""
    getattr(verbs, WORLDS[verb])()
    command = [sys.executable, "run.py", *verbs.words(verb)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while not moment(verbs) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    return process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("verb", "moment"), [("startCluster", template_is_there), ("monitor", service_is_gone)]
)
def test_killed_in_the_midst_a_verb_is_completed_by_the_next(verbs, verb, moment):
    _, expected = unbroken(verbs, verb)
    # On a busy computer a verb may end before this sees the moment: then once more.
    assert any(killed_at(moment, verbs, verb) for _ in range(10)), "it always ended before"
    verbs.type(verb)
    assert verbs.differs_from(expected) == []
    if verb in ENDS:
        assert account_state.machines_up(verbs.aws, verbs.config) == 0


class LookedEnough(Exception):
    """The monitor has looked as often as the test wants it to."""


@pytest.mark.parametrize(
    ("readings", "ended"), [([ZERO, {}], False), ([ZERO], True)], ids=["flickering", "lasting"]
)
def test_only_counts_that_stay_at_zero_end_a_run(verbs, readings, ended):
    verbs.with_machines()
    minutes = itertools.count(time.time(), 60)
    pauses = iter(range(6))

    def sleep(_):
        if next(pauses, None) is None:
            raise LookedEnough

    lagging = verbs.injection.watch(counts=itertools.cycle(readings))
    # Without a record of the job its end is an error, which names it.
    with lagging, pytest.raises(ExplainedError if ended else LookedEnough):
        monitor.watch(verbs.aws, verbs.run(), Pace(), lambda: next(minutes), sleep)
    assert verbs.state()["fleets"] == ([] if ended else [[True, 1]])


# As the Service Authorization Reference names them; every other action is named as its call.
PREFIXES = {"monitoring": "cloudwatch"}
ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "SendMessageBatch": "SendMessage",
}
