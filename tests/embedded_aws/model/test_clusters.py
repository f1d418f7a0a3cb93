import pytest

from embedded_aws.model import Refused
from embedded_aws.model import events as e


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
