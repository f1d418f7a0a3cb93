import pytest

from embedded_aws.model import KillTask, Refused, StopTask
from embedded_aws.model import events as e
from embedded_aws.model.things import AgentConfig


def test_running_instance_registers_with_less_memory_than_advertised(sim):
    sim.do(e.CreateCluster("c"))
    sim.request(1)
    sim.wait(sim.up)
    (found,) = sim.world.container_instances.values()
    assert (found.cpu, found.memory) == (2048, 7985)
    assert found.attributes["app"] == "x"
    assert found.attributes["ecs.instance-type"] == "m5.large"


def test_agents_reserved_memory_is_not_registered(sim):
    sim.do(e.CreateCluster("c"))
    sim.request(1, sim.spec(agent=AgentConfig("c", reserved_memory=1000)))
    sim.wait(sim.up)
    (found,) = sim.world.container_instances.values()
    assert found.memory == 6985


def test_instance_without_an_agent_runs_but_does_not_register(sim):
    sim.do(e.CreateCluster("c"))
    sim.request(1, sim.spec(agent=None))
    sim.wait(1000)
    assert len(sim.instances()) == 1
    assert sim.world.container_instances == {}


def test_agent_tries_again_until_its_cluster_exists(sim):
    sim.request(1)
    sim.wait(500)
    assert sim.world.container_instances == {}
    sim.do(e.CreateCluster("c"))
    sim.wait(15)
    assert len(sim.world.container_instances) == 1


def test_terminated_instance_leaves_the_cluster_and_its_tasks_end(sim):
    sim.up_and_running(1, 2)
    (instance,) = sim.instances()
    sim.do(e.TerminateInstances((instance,)))
    assert len(sim.effects_on(StopTask)) == 2
    (container,) = sim.world.container_instances.values()
    assert not container.connected
    for task in sim.effects_on(StopTask):
        sim.do(e.TaskExited(task, 0))
    sim.wait(10)
    assert sim.world.instances[instance].state == "terminated"
    assert sim.world.container_instances == {}
    assert all(t.reason.startswith("Host EC2") for t in sim.world.tasks.values())
    assert sim.effects_on(KillTask) == []


def test_instance_ends_with_tasks_that_do_not(sim):
    sim.up_and_running(1, 1)
    (instance,) = sim.instances()
    (task,) = sim.tasks()
    sim.do(e.TerminateInstances((instance,)))
    sim.wait(59)
    assert sim.world.instances[instance].state == "shutting-down"
    sim.wait(1)
    assert sim.world.instances[instance].state == "terminated"
    assert task in sim.effects_on(KillTask)
    assert sim.world.tasks[task].status == "STOPPED"


def test_terminating_again_succeeds_and_one_wrong_id_ends_none(sim):
    sim.request(2)
    sim.wait(sim.up)
    first, second = sim.instances()
    assert sim.do(e.TerminateInstances((first,))) == [(first, "running")]
    assert sim.do(e.TerminateInstances((first,))) == [(first, "shutting-down")]
    with pytest.raises(Refused, match=r"InvalidInstanceID\.NotFound"):
        sim.do(e.TerminateInstances((second, "i-unknown")))
    assert sim.world.instances[second].state == "running"


def test_terminated_instance_is_forgotten_after_an_hour(sim):
    sim.request(1)
    sim.wait(sim.up)
    (instance,) = sim.instances()
    sim.do(e.TerminateInstances((instance,)))
    sim.wait(10 + 3599)
    assert instance in sim.world.instances
    sim.wait(2)
    assert instance not in sim.world.instances


def test_interrupted_instance_ends_two_minutes_after_the_notice_and_is_replaced(sim):
    sim.request(1)
    sim.wait(sim.up)
    (instance,) = sim.instances()
    sim.do(e.InterruptInstance(instance))
    sim.wait(119)
    assert sim.world.instances[instance].state == "running"
    sim.wait(1)
    assert sim.world.instances[instance].state == "shutting-down"
    assert sim.world.instances[instance].reason_code == "Server.SpotInstanceTermination"
    assert "termination_notified" in sim.sub_types()
    sim.wait(100)
    assert len(sim.instances()) == 1


@pytest.mark.parametrize("draining", [True, False])
def test_agent_drains_at_the_notice_only_if_configured(sim, draining):
    sim.serve(1)
    agent = AgentConfig("c", spot_draining=draining)
    sim.request(1, sim.spec(agent=agent))
    sim.wait(sim.up + 5)
    sim.do(e.InterruptInstance(sim.instances()[0]))
    (container,) = sim.world.container_instances.values()
    assert container.status == ("DRAINING" if draining else "ACTIVE")
    assert len(sim.effects_on(StopTask)) == (1 if draining else 0)
