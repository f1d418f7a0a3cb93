import pytest

from embedded_aws.model import Refused, StopTask
from embedded_aws.model import events as e


def test_new_task_definition_ends_the_throttling(sim):
    sim.up_and_running(1, 1)
    sim.do(e.TaskNotStarted(sim.tasks()[0], "CannotPullContainerError"))
    sim.do(e.UpdateService("c", "s", definition=sim.definition(2)))
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
    assert sim.effects_on(StopTask) == [task]
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
