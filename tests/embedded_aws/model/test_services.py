import pytest

from embedded_aws.model import KillTask, Refused, StartTask, StopTask
from embedded_aws.model import events as e


def protect(sim, task, enabled=True, minutes=None):
    return sim.do(e.ProtectTask("c", task, enabled, minutes))


def scale(sim, desired):
    sim.do(e.UpdateService("c", "s", desired=desired))


def test_service_starts_its_tasks_when_machines_register(sim):
    sim.serve(2)
    assert "No Container Instances were found in your cluster" in sim.messages()[0]
    sim.request(1)
    sim.wait(sim.up)
    assert len(sim.tasks("PENDING")) == 2
    sim.wait(5)
    assert len(sim.tasks("RUNNING")) == len(sim.told(StartTask)) == 2
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


def test_task_that_exits_is_replaced_at_once(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.do(e.TaskExited(task, 7))
    ended = sim.world.tasks[task]
    assert (ended.status, ended.exit_code) == ("STOPPED", 7)
    assert ended.stop_code == "EssentialContainerExited"
    sim.wait(5)
    assert len(sim.tasks()) == 1


def test_tasks_that_cannot_start_are_tried_ever_more_slowly(sim):
    sim.up_and_running(1, 1)
    for _ in range(4):
        (task,) = sim.tasks()
        sim.do(e.TaskNotStarted(task, "CannotPullContainerError"))
        assert sim.world.tasks[task].stop_code == "TaskFailedToStart"
        pause = sim.service().not_before - sim.now
        sim.wait(pause - 1)
        assert sim.tasks() + sim.tasks("PENDING") == []
        sim.wait(1 + 5)
    assert pause == 80
    assert any("unable to consistently start tasks" in m for m in sim.messages())
    assert sim.service().deployments[0].failed == 4


def test_new_task_definition_ends_the_throttling(sim):
    sim.up_and_running(1, 1)
    sim.do(e.TaskNotStarted(sim.tasks()[0], "CannotPullContainerError"))
    sim.do(e.UpdateService("c", "s", definition=sim.definition(2)))
    sim.wait(5)
    assert len(sim.tasks()) == 1


def test_scale_in_takes_unprotected_tasks_and_never_a_protected_one(sim):
    sim.up_and_running(2, 4)
    busy = sim.tasks()[:2]
    for task in busy:
        protect(sim, task)
    scale(sim, 1)
    assert len(sim.told(StopTask)) == 2
    assert not set(busy) & set(sim.told(StopTask))
    assert "has stopped 2 running tasks" in sim.messages()[0]
    protect(sim, busy[0], enabled=False)
    assert busy[0] in sim.told(StopTask) and busy[1] not in sim.told(StopTask)


def test_protection_expires(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    assert protect(sim, task, minutes=2) == sim.now + 120
    scale(sim, 0)
    sim.wait(119)
    assert sim.told(StopTask) == []
    sim.wait(1)
    assert sim.told(StopTask) == [task]


def test_protection_lasts_two_hours_if_nothing_is_said(sim):
    sim.up_and_running(1, 1)
    assert protect(sim, sim.tasks()[0]) == sim.now + 7200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"minutes": 0}, "InvalidParameterException"),
        ({"minutes": 2881}, "InvalidParameterException"),
        ({"task": "unknown"}, "MISSING"),
        ({"cluster": "unknown"}, "ClusterNotFoundException"),
    ],
    ids=["too short", "too long", "no task", "no cluster"],
)
def test_protection_is_refused(sim, change, code):
    sim.up_and_running(1, 1)
    event = {"cluster": "c", "task": sim.tasks()[0], "enabled": True, "minutes": 5, **change}
    with pytest.raises(Refused, match=code):
        sim.do(e.ProtectTask(**event))


def test_task_that_is_to_stop_cannot_be_protected_any_more(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    scale(sim, 0)
    with pytest.raises(Refused, match="TASK_NOT_VALID"):
        protect(sim, task)


def test_scale_in_empties_the_emptiest_machine_first(sim):
    sim.up_and_running(2, 3)
    hosts = {t: sim.world.tasks[t].container_instance for t in sim.tasks()}
    (alone,) = [t for t, host in hosts.items() if list(hosts.values()).count(host) == 1]
    scale(sim, 2)
    assert sim.told(StopTask) == [alone]


def test_binpack_fills_one_machine_before_the_next(sim):
    sim.up_and_running(3, 2)
    assert len({sim.world.tasks[t].container_instance for t in sim.tasks()}) == 1


def test_service_spreads_without_a_strategy(sim):
    sim.up_and_running(3, 3, strategy=())
    assert len({sim.world.tasks[t].container_instance for t in sim.tasks()}) == 3


def test_distinct_instance_places_one_task_a_machine(sim):
    sim.up_and_running(2, 4, distinct=True)
    assert len(sim.tasks()) == 2


def test_stopping_task_is_killed_after_its_timeout(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    scale(sim, 0)
    assert sim.tasks("STOPPING") == [task]
    sim.wait(29)
    assert sim.told(KillTask) == []
    sim.wait(1)
    assert sim.told(KillTask) == [task]
    sim.do(e.TaskExited(task, 137))
    assert sim.tasks("STOPPED") == [task]
    sim.wait(1000)
    assert sim.told(KillTask) == [task]


def test_memory_is_free_again_only_when_the_task_has_stopped(sim):
    sim.up_and_running(1, 2)
    sim.do(e.UpdateService("c", "s", force_new_deployment=True))
    sim.wait(5)
    assert sim.tasks() == [] and len(sim.tasks("STOPPING")) == 2
    for task in sim.tasks("STOPPING"):
        sim.do(e.TaskExited(task, 0))
    sim.wait(5)
    assert len(sim.tasks()) == 2


def test_deployment_lets_protected_tasks_finish(sim):
    sim.up_and_running(2, 2)
    busy, idle = sim.tasks()
    protect(sim, busy)
    sim.do(e.UpdateService("c", "s", definition=sim.definition(2)))
    assert sim.told(StopTask) == [idle]
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
    assert sim.told(StopTask) == []
    sim.wait(5)
    assert len(sim.told(StopTask)) == 2


@pytest.mark.parametrize("minimum", [0, 100])
def test_draining_moves_tasks_to_other_machines(sim, minimum):
    sim.up_and_running(2, 2, minimum_percent=minimum)
    (host,) = {sim.world.tasks[t].container_instance for t in sim.tasks()}
    old = sim.tasks()
    sim.do(e.SetContainerInstanceState("c", host, "DRAINING"))
    assert sim.told(StopTask) == (old if minimum == 0 else [])
    sim.wait(5)
    assert sorted(sim.told(StopTask)) == sorted(old)
    assert len(sim.tasks()) == 2
    assert all(sim.world.tasks[t].container_instance != host for t in sim.tasks())


@pytest.mark.parametrize("heeds", [True, False])
def test_draining_with_and_without_regard_to_protection(sim, heeds):
    sim.world.draining_heeds_protection = heeds
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    protect(sim, task)
    sim.do(e.SetContainerInstanceState("c", sim.world.tasks[task].container_instance, "DRAINING"))
    assert sim.told(StopTask) == ([] if heeds else [task])


def test_drained_machine_gets_no_tasks_until_it_is_active_again(sim):
    sim.up_and_running(1, 0)
    (host,) = sim.world.container_instances
    sim.do(e.SetContainerInstanceState("c", host, "DRAINING"))
    scale(sim, 1)
    sim.wait(50)
    assert sim.tasks() == []
    sim.do(e.SetContainerInstanceState("c", host, "ACTIVE"))
    sim.wait(5)
    assert len(sim.tasks()) == 1


def test_name_of_a_live_service_is_taken(sim):
    sim.serve(0)
    with pytest.raises(Refused, match="InvalidParameterException"):
        sim.serve(0)


def test_deleting_a_service_needs_zero_or_force(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    with pytest.raises(Refused, match="scaled above 0"):
        sim.do(e.DeleteService("c", "s"))
    sim.do(e.DeleteService("c", "s", force=True))
    assert sim.told(StopTask) == [task]
    assert sim.service().status == "INACTIVE"
    for event in (e.DeleteService("c", "s"), e.UpdateService("c", "s", desired=1)):
        with pytest.raises(Refused, match="ServiceNot"):
            sim.do(event)
    sim.serve(0)
    assert sim.service().status == "ACTIVE"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (e.UpdateService("c", "unknown", desired=1), "ServiceNotFoundException"),
        (e.UpdateService("unknown", "s", desired=1), "ClusterNotFoundException"),
        (e.DeleteService("c", "unknown"), "ServiceNotFoundException"),
        (e.UpdateService("c", "s", desired=-1), "InvalidParameterException"),
        (e.UpdateService("c", "s", constraints=("nonsense",)), "InvalidParameterException"),
        (e.StopTaskRequest("c", "unknown"), "InvalidParameterException"),
        (e.SetContainerInstanceState("c", "unknown", "DRAINING"), "InvalidParameterException"),
        (e.DeregisterContainerInstance("c", "unknown"), "InvalidParameterException"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_aws_refuses_is_refused(sim, event, code):
    sim.serve(0)
    before = sim.world
    with pytest.raises(Refused, match=code):
        sim.do(event)
    assert sim.world.services == before.services


def test_stopped_by_the_user_a_task_is_replaced(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.do(e.StopTaskRequest("c", task.rsplit("/", 1)[-1], "because"))
    sim.do(e.TaskExited(task, 0))
    ended = sim.world.tasks[task]
    assert (ended.stop_code, ended.reason, ended.exit_code) == ("UserInitiated", "because", 0)
    sim.wait(5)
    assert len(sim.tasks()) == 1


def test_instance_with_tasks_is_deregistered_only_by_force(sim):
    sim.up_and_running(1, 1)
    (host,) = sim.world.container_instances
    with pytest.raises(Refused, match="running tasks"):
        sim.do(e.DeregisterContainerInstance("c", host))
    sim.do(e.DeregisterContainerInstance("c", host, force=True))
    assert sim.world.container_instances == {}
    assert len(sim.told(KillTask)) == 1


def test_stopped_tasks_are_forgotten_after_an_hour(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.do(e.TaskExited(task, 0))
    sim.wait(3599)
    assert task in sim.world.tasks
    sim.wait(2)
    assert task not in sim.world.tasks


@pytest.mark.parametrize(
    ("left", "code"),
    [
        ("instances", "ClusterContainsContainerInstancesException"),
        ("service", "ClusterContainsServicesException"),
        ("nothing", None),
    ],
)
def test_cluster_is_deleted_only_when_empty(sim, left, code):
    sim.up_and_running(1, 0)
    if left != "instances":
        sim.do(e.CancelFleet(sim.fleet().id, True))
        sim.wait(100)
    if left == "nothing":
        sim.do(e.DeleteService("c", "s"))
    if code is None:
        sim.do(e.DeleteCluster("c"))
        assert sim.world.clusters == {}
    else:
        with pytest.raises(Refused, match=code):
            sim.do(e.DeleteCluster("c"))
