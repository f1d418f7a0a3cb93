import pytest

from embedded_aws.model import Refused
from embedded_aws.model import events as e
from embedded_aws.model.fleet_history import shown
from embedded_aws.model.fleets import activity, fulfilled


def test_request_becomes_running_instances(sim):
    sim.request(2)
    assert sim.fleet().state == "submitted"
    sim.wait(3)
    assert sim.fleet().state == "active"
    assert activity(sim.world, sim.fleet()) == "pending_fulfillment"
    sim.wait(10)
    assert sim.states() == ["pending", "pending"]
    assert activity(sim.world, sim.fleet()) == "fulfilled"
    sim.wait(20)
    assert sim.states() == ["running", "running"]
    assert sim.sub_types() == ["submitted", "active", "launched", "launched"]


def test_one_long_step_ends_where_many_short_ones_do(sim):
    other = type(sim)()
    for one in (sim, other):
        one.serve(3)
        one.request(2)
    sim.wait(500)
    for _ in range(500):
        other.wait(1)
    assert sim.world.instances == other.world.instances
    assert sim.world.tasks == other.world.tasks
    assert len(sim.tasks()) == 3


def test_history_is_shown_half_a_minute_late_and_for_two_days(sim):
    sim.request(1)
    assert shown(sim.world, sim.fleet(), 0, sim.now + 29) == []
    assert len(shown(sim.world, sim.fleet(), 0, sim.now + 30)) == 1
    assert shown(sim.world, sim.fleet(), 0, sim.now + 172801) == []


def test_same_client_token_gives_the_same_fleet(sim):
    first = sim.request(1, client_token="t", config={"a": 1})
    assert sim.request(1, client_token="t", config={"a": 1}) == first
    assert len(sim.world.fleets) == 1
    with pytest.raises(Refused, match="IdempotentParameterMismatch"):
        sim.request(1, client_token="t", config={"a": 2})


def test_terminated_instance_is_replaced_in_a_maintained_fleet(sim):
    sim.request(1)
    sim.wait(sim.up)
    sim.do(e.TerminateInstances(tuple(sim.instances())))
    assert sim.states() == ["shutting-down"]
    sim.wait(30)
    assert sim.states() == ["terminated", "running"]
    assert sim.sub_types().count("launched") == 2


def test_fleet_of_type_request_replaces_nothing(sim):
    sim.request(2, maintain=False)
    sim.wait(sim.up)
    sim.do(e.TerminateInstances(tuple(sim.instances()[:1])))
    sim.wait(1000)
    assert sorted(sim.states()) == ["running", "terminated"]
    with pytest.raises(Refused, match="FleetNotInModifiableState"):
        sim.do(e.ModifyFleet(sim.fleet().id, 5))


def test_raised_target_launches_more(sim):
    fleet = sim.request(1)
    sim.wait(sim.up)
    sim.do(e.ModifyFleet(fleet, 3))
    assert sim.fleet().state == "modifying"
    with pytest.raises(Refused, match="FleetNotInModifiableState"):
        sim.do(e.ModifyFleet(fleet, 4))
    sim.wait(33)
    assert sim.states() == ["running"] * 3
    assert "modify_in_progress" in sim.sub_types() and "modify_succeeded" in sim.sub_types()


@pytest.mark.parametrize(
    ("keep", "left"), [(False, 1), (True, 3), (None, 1)], ids=["default", "noTermination", "unset"]
)
def test_lowered_target_ends_instances_unless_the_request_excludes_it(sim, keep, left):
    fleet = sim.request(3)
    sim.wait(sim.up)
    sim.do(e.ModifyFleet(fleet, 1, keep_excess=keep))
    sim.wait(200)
    assert len(sim.instances()) == left


def test_kept_excess_is_not_replaced_when_it_ends(sim):
    fleet = sim.request(3)
    sim.wait(sim.up)
    sim.do(e.ModifyFleet(fleet, 1, keep_excess=True))
    sim.wait(10)
    sim.do(e.TerminateInstances(tuple(sim.instances()[:2])))
    sim.wait(200)
    assert len(sim.instances()) == 1
    assert len(sim.world.instances) == 3


@pytest.mark.parametrize(
    ("terminate", "state"),
    [(True, "cancelled_terminating"), (False, "cancelled_running")],
)
def test_cancelled_fleet_ends_its_instances_only_if_requested(sim, terminate, state):
    fleet = sim.request(2)
    sim.wait(sim.up)
    assert sim.do(e.CancelFleet(fleet, terminate)) == ("active", state)
    sim.wait(100)
    assert len(sim.instances()) == (0 if terminate else 2)
    assert sim.fleet().state == ("cancelled" if terminate else state)


def test_cancelled_running_fleet_is_over_when_its_last_instance_is(sim):
    fleet = sim.request(1)
    sim.wait(sim.up)
    sim.do(e.CancelFleet(fleet, False))
    sim.do(e.TerminateInstances(tuple(sim.instances())))
    sim.wait(100)
    assert sim.fleet().state == "cancelled"
    assert len(sim.world.instances) == 1


def test_cancelling_twice_changes_nothing(sim):
    fleet = sim.request(1)
    sim.do(e.CancelFleet(fleet, True))
    assert sim.do(e.CancelFleet(fleet, True)) == ("cancelled", "cancelled")
    with pytest.raises(Refused, match=r"InvalidSpotFleetRequestId\.NotFound"):
        sim.do(e.CancelFleet("sfr-unknown", True))


@pytest.mark.parametrize("terminate", [True, False])
def test_fleet_expires_at_valid_until(sim, terminate):
    sim.request(2, valid_until=sim.now + 1000, terminate_at_expiry=terminate)
    sim.wait(999)
    assert len(sim.instances()) == 2
    sim.wait(101)
    assert len(sim.instances()) == (0 if terminate else 2)
    assert "expired" in sim.sub_types()


def test_capacity_that_comes_late_is_used_when_it_comes(sim):
    sim.do(e.SetCapacity({"m5.large": 0}))
    sim.request(2)
    sim.wait(200)
    assert sim.states() == []
    assert activity(sim.world, sim.fleet()) == "error"
    assert sim.sub_types().count("launchSpecTemporarilyBlacklisted") == 1
    sim.do(e.SetCapacity({}))
    sim.wait(20)
    assert sim.states() == ["running", "running"]
    assert activity(sim.world, sim.fleet()) == "fulfilled"


def test_capacity_that_comes_partly_gives_part_of_the_fleet(sim):
    sim.do(e.SetCapacity({"m5.large/us-east-1a": 1, "m5.large/us-east-1b": 2}))
    sim.request(9, sim.spec(), sim.spec(zone="us-east-1b"))
    sim.wait(600)
    assert len(sim.instances()) == 3
    assert fulfilled(sim.world, sim.fleet()) == 3


def test_quota_in_vcpus_limits_the_fleet(sim):
    sim.do(e.SetCapacity({}, vcpu_quota=5))
    sim.request(9)
    sim.wait(100)
    assert len(sim.instances()) == 2
    assert "spotInstanceCountLimitExceeded" in sim.sub_types()


@pytest.mark.parametrize(
    ("changes", "launched", "said"),
    [
        ({"max_price": 0.01}, 0, "launchSpecUnusable"),
        ({"max_price": 0.03}, 4, "launched"),
        ({"max_total_price": 0.07}, 2, "fleetProgressHalted"),
    ],
    ids=["too low", "enough", "in total"],
)
def test_prices_stop_launches(sim, changes, launched, said):
    sim.request(4, **changes)
    sim.wait(100)
    assert len(sim.instances()) == launched
    assert said in sim.sub_types()


def test_broken_launch_specification_is_in_the_history(sim):
    sim.request(1, sim.spec(fault="The image id '[ami-1]' does not exist"))
    sim.wait(100)
    assert sim.states() == []
    (record,) = [r for r in sim.fleet().history if r.event_type == "error"]
    assert record.sub_type == "spotFleetRequestConfigurationInvalid"
    assert "ami-1" in record.description


@pytest.mark.parametrize(
    ("strategy", "kinds"),
    [
        ("lowestPrice", {"m5.large": 4}),
        ("priceCapacityOptimized", {"m5.large": 4}),
        ("diversified", {"m5.large": 2, "m5.xlarge": 2}),
    ],
)
def test_allocation_strategy_chooses_the_pools(sim, strategy, kinds):
    sim.request(4, sim.spec(), sim.spec("m5.xlarge"), strategy=strategy)
    sim.wait(100)
    launched = [i.spec.instance_type for i in sim.world.instances.values()]
    assert {kind: launched.count(kind) for kind in set(launched)} == kinds


def test_weights_count_towards_the_target(sim):
    sim.request(4, sim.spec("m5.xlarge", weight=2.0))
    sim.wait(100)
    assert len(sim.instances()) == 2


def test_target_zero_is_for_maintained_fleets_only(sim):
    sim.request(0)
    with pytest.raises(Refused, match="InvalidTargetCapacity"):
        sim.request(0, maintain=False)


def test_cancelled_fleet_is_forgotten_after_two_days(sim):
    fleet = sim.request(1)
    sim.do(e.CancelFleet(fleet, True))
    sim.wait(172799)
    assert fleet in sim.world.fleets
    sim.wait(2)
    assert fleet not in sim.world.fleets


def test_a_launch_that_comes_due_while_the_fleet_is_modified_waits_for_it(sim):
    fleet = sim.request(1)
    sim.wait(11)
    sim.do(e.ModifyFleet(fleet, target=2))
    sim.wait(2.5)
    assert sim.states() == []
    sim.wait(20)
    assert len(sim.states()) == 2
