import pytest

from embedded_aws.model import StartTask, StopTask
from embedded_aws.model import events as e


def test_service_starts_its_tasks_when_machines_register(sim):
    sim.serve(2)
    assert "No Container Instances were found in your cluster" in sim.messages()[0]
    sim.request(1)
    sim.wait(sim.up)
    assert len(sim.tasks("PENDING")) == 2
    sim.wait(5)
    assert len(sim.tasks("RUNNING")) == len(sim.effects_on(StartTask)) == 2
    assert sim.messages()[0] == "(service s) has reached a steady state."
    assert sim.service().deployments[0].completed


def test_tasks_that_do_not_fit_wait_and_the_service_says_why(sim):
    sim.up_and_running(1, 5)
    assert len(sim.tasks()) == 2
    reasons = [m for m in sim.messages() if "unable to place" in m]
    assert len(reasons) == 2
    assert "has insufficient memory available" in reasons[0]
    sim.do(e.ModifyFleet(sim.fleet().id, 3))
    sim.wait(100)
    assert len(sim.tasks()) == 5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"memory": 8192}, "has insufficient memory available"),
        ({"cpu": 4096}, "has insufficient CPU units available"),
        ({"gpus": 1}, "has insufficient GPU resource available"),
    ],
    ids=["memory", "cpu", "gpu"],
)
def test_task_too_large_for_the_machines_is_never_placed(sim, changes, reason):
    sim.up_and_running(1, 1, definition=sim.definition(**changes))
    assert list(sim.world.tasks) == []
    assert reason in sim.messages()[0]


def test_service_stays_on_machines_with_its_attribute(sim):
    sim.up_and_running(2, 1, constraints=("attribute:app == other",))
    assert list(sim.world.tasks) == []
    assert "is missing an attribute required by your task" in sim.messages()[0]
    sim.do(e.UpdateService("c", "s", constraints=("attribute:app == x",)))
    sim.wait(5)
    assert len(sim.tasks()) == 1


def test_scale_in_takes_unprotected_tasks_and_never_a_protected_one(sim):
    sim.up_and_running(2, 4)
    busy = sim.tasks()[:2]
    for task in busy:
        sim.protect(task)
    sim.scale(1)
    assert len(sim.effects_on(StopTask)) == 2
    assert not set(busy) & set(sim.effects_on(StopTask))
    assert "has stopped 2 running tasks" in sim.messages()[0]
    sim.protect(busy[0], enabled=False)
    assert busy[0] in sim.effects_on(StopTask) and busy[1] not in sim.effects_on(StopTask)


def test_scale_in_empties_the_emptiest_machine_first(sim):
    sim.up_and_running(2, 3)
    hosts = {t: sim.world.tasks[t].container_instance for t in sim.tasks()}
    (alone,) = [t for t, host in hosts.items() if list(hosts.values()).count(host) == 1]
    sim.scale(2)
    assert sim.effects_on(StopTask) == [alone]


def test_binpack_fills_one_machine_before_the_next(sim):
    sim.up_and_running(3, 2)
    assert len({sim.world.tasks[t].container_instance for t in sim.tasks()}) == 1


def test_service_spreads_without_a_strategy(sim):
    sim.up_and_running(3, 3, strategy=())
    assert len({sim.world.tasks[t].container_instance for t in sim.tasks()}) == 3


def test_distinct_instance_places_one_task_a_machine(sim):
    sim.up_and_running(2, 4, distinct=True)
    assert len(sim.tasks()) == 2


def test_deployment_lets_protected_tasks_finish(sim):
    sim.up_and_running(2, 2)
    busy, idle = sim.tasks()
    sim.protect(busy)
    sim.do(e.UpdateService("c", "s", definition=sim.definition(2)))
    assert sim.effects_on(StopTask) == [idle]
    sim.do(e.TaskExited(idle, 0))
    sim.wait(5)
    assert [d.definition.arn[-1] for d in sim.service().deployments] == ["2", "1"]
    assert len(sim.tasks()) == 3
    sim.do(e.TaskExited(busy, 0))
    sim.wait(5)
    assert [d.definition.arn[-1] for d in sim.service().deployments] == ["2"]
    assert {sim.world.tasks[t].definition.arn[-1] for t in sim.tasks()} == {"2"}


def test_minimum_healthy_percent_keeps_old_tasks_until_new_ones_run(sim):
    sim.up_and_running(2, 2, minimum_percent=100)
    sim.do(e.UpdateService("c", "s", definition=sim.definition(2)))
    assert sim.effects_on(StopTask) == []
    sim.wait(5)
    assert len(sim.effects_on(StopTask)) == 2


def test_maximum_percent_makes_new_tasks_wait_for_protected_old_ones(sim):
    sim.up_and_running(2, 2, maximum_percent=100)
    busy, idle = sim.tasks()
    sim.protect(busy)
    sim.do(e.UpdateService("c", "s", definition=sim.definition(2)))
    sim.do(e.TaskExited(idle, 0))
    sim.wait(5)
    assert len(sim.tasks()) == 2
    sim.do(e.TaskExited(busy, 0))
    sim.wait(5)
    assert {sim.world.tasks[t].deployment for t in sim.tasks()} == {sim.service().deployments[0].id}


@pytest.mark.parametrize("minimum", [0, 100])
def test_draining_moves_tasks_to_other_machines(sim, minimum):
    sim.up_and_running(2, 2, minimum_percent=minimum)
    (host,) = {sim.world.tasks[t].container_instance for t in sim.tasks()}
    old = sim.tasks()
    sim.do(e.SetContainerInstanceState("c", host, "DRAINING"))
    assert sim.effects_on(StopTask) == (old if minimum == 0 else [])
    sim.wait(5)
    assert sorted(sim.effects_on(StopTask)) == sorted(old)
    assert len(sim.tasks()) == 2
    assert all(sim.world.tasks[t].container_instance != host for t in sim.tasks())


@pytest.mark.parametrize("spares", [True, False])
def test_draining_with_and_without_regard_to_protection(sim, spares):
    sim.world.draining_spares_protected = spares
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.protect(task)
    sim.do(e.SetContainerInstanceState("c", sim.world.tasks[task].container_instance, "DRAINING"))
    assert sim.effects_on(StopTask) == ([] if spares else [task])


def test_drained_machine_gets_no_tasks_until_it_is_active_again(sim):
    sim.up_and_running(1, 0)
    (host,) = sim.world.container_instances
    sim.do(e.SetContainerInstanceState("c", host, "DRAINING"))
    sim.scale(1)
    sim.wait(50)
    assert sim.tasks() == []
    sim.do(e.SetContainerInstanceState("c", host, "ACTIVE"))
    sim.wait(5)
    assert len(sim.tasks()) == 1
