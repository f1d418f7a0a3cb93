"""Invariants of the model under any events."""

import ast
import copy
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import embedded_aws.model
from embedded_aws.model import KillTask, StartTask, StopTask, advance
from embedded_aws.model import events as e

ACTIONS = st.sampled_from(
    ["wait", "terminate", "interrupt", "exit", "refuse", "scale", "modify", "protect", "drain"]
)


def test_model_imports_nothing_but_itself_and_the_standard_library():
    allowed = {
        "__future__",
        "collections",
        "dataclasses",
        "hashlib",
        "math",
        "operator",
        "re",
        "typing",
    }
    for path in Path(embedded_aws.model.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            others = {n for n in names if n.split(".")[0] not in allowed}
            assert all(n.startswith("embedded_aws.model") for n in others), (path, others)


def test_advance_leaves_the_world_it_was_given_alone(sim):
    sim.up_and_running(2, 3)
    world = sim.world
    before = copy.deepcopy(world)
    advance(world, [e.TerminateInstances(tuple(sim.instances()))], sim.now + 5)
    advance(world, [], sim.now + 5000)
    assert world == before


def test_same_seed_gives_the_same_world(sim):
    other = type(sim)()
    for one in (sim, other):
        one.up_and_running(3, 4)
    assert sim.world == other.world


def test_refused_event_leaves_the_others_alone(sim):
    events = [e.CreateCluster("c"), e.DeleteCluster("unknown"), e.CreateCluster("d")]
    done = advance(sim.world, events, sim.now)
    assert set(done.world.clusters) == {"c", "d"}
    assert [type(answer).__name__ for answer in done.answers] == ["NoneType", "Refused", "NoneType"]


def test_clock_that_goes_back_does_no_harm(sim):
    sim.up_and_running(1, 1)
    sim.wait(-500)
    sim.wait(400)
    assert len(sim.tasks()) == 1


def test_nothing_to_do_costs_nothing(sim):
    sim.up_and_running(1, 1)
    assert advance(sim.world, [], sim.now + 1).world is sim.world


def pick(things, number):
    return things[number % len(things)] if things else None


def event(sim, action, number):
    """Return a possible event, or None if nothing can have it."""
    if action == "scale":
        return e.UpdateService("c", "s", desired=number % 7)
    if action == "modify" and sim.fleet().state == "active":
        return e.ModifyFleet(sim.fleet().id, number % 5, keep_excess=number % 2 == 0)
    if action == "drain" and (host := pick(list(sim.world.container_instances), number)):
        return e.SetContainerInstanceState("c", host, ("DRAINING", "ACTIVE")[number % 2])
    if instance := pick(sim.instances(), number):
        if action == "terminate":
            return e.TerminateInstances((instance,))
        if action == "interrupt":
            return e.InterruptInstance(instance)
    return task_event(action, pick(sim.tasks(), number), number)


def task_event(action, task, number):
    if task is None:
        return None
    if action == "exit":
        return e.TaskExited(task, number % 3)
    if action == "refuse":
        return e.TaskNotStarted(task, "CannotPullContainerError")
    if action == "protect":
        return e.ProtectTask("c", task, number % 3 > 0, 1 + number % 5)
    return None


def act(sim, action, number):
    """Let it happen, or let time pass."""
    happens = event(sim, action, number)
    if happens is None:
        sim.wait(number)
    else:
        sim.do(happens)


def check(sim):
    """Check that resources and tasks agree."""
    world = sim.world
    for host in world.container_instances.values():
        tasks = [world.tasks[t] for t in host.tasks]
        assert all(t.status != "STOPPED" for t in tasks)
        assert host.free_memory == host.memory - sum(t.definition.memory for t in tasks) >= 0
        assert host.free_cpu == host.cpu - sum(t.definition.cpu for t in tasks) >= 0
    for task in world.tasks.values():
        if task.status in ("PENDING", "RUNNING", "STOPPING"):
            assert task.arn in world.container_instances[task.container_instance].tasks
    started, told = sim.effects_on(StartTask), sim.effects_on(StopTask) + sim.effects_on(KillTask)
    assert len(started) == len(set(started))
    assert set(told) <= set(started)
    assert all(t in started for t in sim.tasks())


# The fixture only gives the class: each example makes a simulation of its own.
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 200)), max_size=40))
def test_books_balance_whatever_happens(sim, steps):
    sim = type(sim)()
    sim.serve(3)
    sim.request(2)
    sim.wait(sim.up + 5)
    for action, number in steps:
        act(sim, action, number)
        check(sim)
    sim.do(e.UpdateService("c", "s", desired=2))
    for task in sim.tasks("STOPPING"):
        sim.do(e.TaskExited(task, 0))
    sim.wait(4000)
    check(sim)
    assert all(t.desired == "STOPPED" or t.status == "RUNNING" for t in sim.world.tasks.values())
