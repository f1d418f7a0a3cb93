import pytest

from embedded_aws.model import KillTask, Refused
from embedded_aws.model import events as e


def test_instance_with_tasks_is_deregistered_only_by_force(sim):
    sim.up_and_running(1, 1)
    (host,) = sim.world.container_instances
    with pytest.raises(Refused, match="running tasks"):
        sim.do(e.DeregisterContainerInstance("c", host))
    sim.do(e.DeregisterContainerInstance("c", host, force=True))
    assert sim.world.container_instances == {}
    assert len(sim.effects_on(KillTask)) == 1
