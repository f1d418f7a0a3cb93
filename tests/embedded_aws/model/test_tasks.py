import pytest

from embedded_aws.model import KillTask, Refused, StopTask
from embedded_aws.model import events as e


def test_task_that_exits_is_replaced_at_once(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.do(e.TaskExited(task, 7))
    ended = sim.world.tasks[task]
    assert (ended.status, ended.exit_code) == ("STOPPED", 7)
    assert ended.stop_code == "EssentialContainerExited"
    sim.wait(5)
    assert len(sim.tasks()) == 1


def test_a_container_s_own_reason_is_kept_in_addition_to_the_task_s(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.do(e.TaskExited(task, 137, "OutOfMemoryError: too much"))
    ended = sim.world.tasks[task]
    assert (ended.reason, ended.container_reason) == (
        "Essential container in task exited",
        "OutOfMemoryError: too much",
    )


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


def test_protection_expires(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    assert sim.protect(task, minutes=2) == sim.now + 120
    sim.scale(0)
    sim.wait(119)
    assert sim.effects_on(StopTask) == []
    sim.wait(1)
    assert sim.effects_on(StopTask) == [task]


def test_protection_lasts_two_hours_by_default(sim):
    sim.up_and_running(1, 1)
    assert sim.protect(sim.tasks()[0]) == sim.now + 7200


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
    sim.scale(0)
    with pytest.raises(Refused, match="TASK_NOT_VALID"):
        sim.protect(task)


def test_stopping_task_is_killed_after_its_timeout(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.scale(0)
    assert sim.tasks("STOPPING") == [task]
    sim.wait(29)
    assert sim.effects_on(KillTask) == []
    sim.wait(1)
    assert sim.effects_on(KillTask) == [task]
    sim.do(e.TaskExited(task, 137))
    assert sim.tasks("STOPPED") == [task]
    sim.wait(1000)
    assert sim.effects_on(KillTask) == [task]


def test_memory_is_free_again_only_when_the_task_has_stopped(sim):
    sim.up_and_running(1, 2)
    sim.do(e.UpdateService("c", "s", force_new_deployment=True))
    sim.wait(5)
    assert sim.tasks() == [] and len(sim.tasks("STOPPING")) == 2
    for task in sim.tasks("STOPPING"):
        sim.do(e.TaskExited(task, 0))
    sim.wait(5)
    assert len(sim.tasks()) == 2


def test_stopped_by_the_user_a_task_is_replaced(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.do(e.StopTaskRequest("c", task.rsplit("/", 1)[-1], "because"))
    sim.do(e.TaskExited(task, 0))
    ended = sim.world.tasks[task]
    assert (ended.stop_code, ended.reason, ended.exit_code) == ("UserInitiated", "because", 0)
    sim.wait(5)
    assert len(sim.tasks()) == 1


def test_stopped_tasks_are_forgotten_after_an_hour(sim):
    sim.up_and_running(1, 1)
    (task,) = sim.tasks()
    sim.do(e.TaskExited(task, 0))
    sim.wait(3599)
    assert task in sim.world.tasks
    sim.wait(2)
    assert task not in sim.world.tasks
