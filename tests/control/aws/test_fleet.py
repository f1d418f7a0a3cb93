"""Spot fleets: what is requested, and what becomes of it on the AWS on this computer."""

from __future__ import annotations

import dataclasses

import pytest
from botocore.exceptions import ClientError

from control.aws import fleet, launch_template
from control.aws.ec2 import MachineType, Subnet
from control.aws.launch_template import Plan
from control.errors import ExplainedError
from tests.conftest import config_of, new_run

PLAN = Plan(
    fleet_role_arn="arn:fleet",
    instance_profile_arn="arn:profile",
    image_id="ami-1",
    root_device="/dev/xvda",
    volume_gib=30,
    subnets=(Subnet("subnet-a", "us-east-1a"), Subnet("subnet-b", "us-east-1b")),
    security_group_ids=("sg-1",),
    types=(
        MachineType("m5.xlarge", 4, 16384, "x86_64", 0),
        MachineType("m6i.xlarge", 4, 16384, "x86_64", 0),
    ),
)
RUN = dataclasses.replace(new_run(), config=config_of())


def test_every_type_in_every_zone_is_an_override():
    config = fleet.request_config(RUN, PLAN, "template", "token", 5, 1_800_000_000.0)
    (launch,) = config["LaunchTemplateConfigs"]
    pairs = {(o["InstanceType"], o["SubnetId"]) for o in launch["Overrides"]}
    assert pairs == {
        (kind, subnet)
        for kind in ("m5.xlarge", "m6i.xlarge")
        for subnet in ("subnet-a", "subnet-b")
    }
    assert config["AllocationStrategy"] == "priceCapacityOptimized"
    assert config["TargetCapacity"] == 5 and config["ClientToken"] == "token"


def test_aws_ends_the_fleet_by_itself():
    config = fleet.request_config(RUN, PLAN, "template", "token", 5, 1_800_000_000.0)
    assert config["ValidUntil"] == "2027-01-15T08:00:00Z"
    assert config["TerminateInstancesWithExpiration"] is True


@pytest.mark.parametrize(
    ("settings", "prices"),
    [
        ({"MACHINE_PRICE": None, "MAX_HOURLY_COST": None}, {}),
        ({"MACHINE_PRICE": 0.1, "MAX_HOURLY_COST": None}, {"SpotPrice": "0.1"}),
        ({"MACHINE_PRICE": None, "MAX_HOURLY_COST": 2.5}, {"SpotMaxTotalPrice": "2.5"}),
    ],
)
def test_limits_of_price_are_given_only_if_set(settings, prices):
    run = dataclasses.replace(RUN, config=config_of(**settings))
    limit = settings["MAX_HOURLY_COST"]
    config = fleet.request_config(run, PLAN, "template", "token", 5, 1_800_000_000.0, limit)
    assert {k: v for k, v in config.items() if k.startswith("Spot")} == prices


def test_a_fleet_that_aws_has_forgotten_is_left_out(embedded):
    assert fleet.describe(embedded.ec2, ["sfr-00000000-0000-0000-0000-000000000000"]) == []


def test_what_is_gone_already_can_be_ended_again(embedded):
    fleet.terminate(embedded.ec2, ["i-00000000000000000"])
    launch_template.delete(embedded.ec2, "no-such-template")
    fleet.cancel(embedded.ec2, ["sfr-00000000-0000-0000-0000-000000000000"])


def test_a_machine_that_aws_has_forgotten_keeps_none_from_being_ended_in_few_calls():
    """EC2 has forgotten 3 of 250 machines, and names them or only reports that there are some."""
    ids = [f"i-{number:017x}" for number in range(250)]
    gone = {ids[3], ids[4], ids[249]}
    for message, most in [("The instance IDs '{}' do not exist", 5), ("Some do not exist", 60)]:
        ec2 = Forgetful(gone, message)
        fleet.terminate(ec2, ids)
        assert sorted(ec2.ended) == sorted(set(ids) - gone)
        assert ec2.calls <= most


class Forgetful:
    """EC2 as far as TerminateInstances, with machines that it has forgotten."""

    def __init__(self, gone, message):
        self.gone, self.message = gone, message
        self.ended, self.calls = [], 0

    def terminate_instances(self, InstanceIds):
        self.calls += 1
        unknown = [i for i in InstanceIds if i in self.gone]
        if unknown:
            said = self.message.format(", ".join(unknown))
            error = {"Code": "InvalidInstanceID.NotFound", "Message": said}
            raise ClientError({"Error": error}, "TerminateInstances")
        self.ended += InstanceIds


class Cancelling:
    """EC2 that does not cancel a fleet, with the states that it lists."""

    def __init__(self, code, *states):
        self.code, self.states = code, iter(states)

    def describe_spot_fleet_requests(self, SpotFleetRequestIds):
        config = {"TargetCapacity": 1}
        found = {"SpotFleetRequestId": SpotFleetRequestIds[0], "SpotFleetRequestConfig": config}
        return {"SpotFleetRequestConfigs": [{**found, "SpotFleetRequestState": next(self.states)}]}

    def get_paginator(self, name):
        return self

    def paginate(self, **_):
        return [{"ActiveInstances": []}]

    def cancel_spot_fleet_requests(self, SpotFleetRequestIds, TerminateInstances):
        assert TerminateInstances
        error = {"Code": self.code, "Message": "why"}
        failed = [{"SpotFleetRequestId": i, "Error": error} for i in SpotFleetRequestIds]
        return {"SuccessfulFleetRequests": [], "UnsuccessfulFleetRequests": failed}


@pytest.mark.parametrize("code", ["unexpectedError", "fleetRequestNotInCancellableState"])
def test_a_fleet_that_ec2_does_not_cancel_is_an_error_although_the_call_succeeds(code):
    with pytest.raises(ExplainedError, match=f"sfr-1 .{code}: why"):
        fleet.cancel(Cancelling(code, "active", "active"), ["sfr-1"])


@pytest.mark.parametrize(
    "states", [("active", "cancelled_terminating"), ("cancelled_running",) * 2]
)
def test_a_fleet_that_another_has_cancelled_meanwhile_is_no_error(states):
    refused = Cancelling("fleetRequestNotInCancellableState", *states)
    assert fleet.cancel(refused, ["sfr-1"]) == 1
