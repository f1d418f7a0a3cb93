"""Values found for "auto", and the launch template of a machine."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from control.aws import launch_template
from control.errors import UserError
from control.user_files.fleet_file import FleetFile
from tests.conftest import config_of, new_run


@pytest.fixture
def planned(embedded, project):
    def plan(file=None, **changes):
        return launch_template.plan(embedded, project(**changes), file or FleetFile())

    return plan


def test_auto_finds_all_that_a_fleet_needs_in_a_fresh_account(planned, embedded):
    plan = planned(MACHINE_TYPE=["m5.xlarge", "m6i.xlarge"], EBS_VOL_SIZE=50)
    assert plan.fleet_role_arn.endswith(":role/DistributedSomethingFleetRole")
    assert plan.instance_profile_arn.endswith("/DistributedSomethingInstanceRole")
    assert plan.image_id.startswith("ami-")
    assert plan.volume_gib >= 50
    zones = [subnet.zone for subnet in plan.subnets]
    assert len(zones) > 1 and len(set(zones)) == len(zones)
    assert len(plan.security_group_ids) == 1
    assert [t.name for t in plan.types] == ["m5.xlarge", "m6i.xlarge"]


def test_of_two_subnets_in_a_zone_the_one_with_more_free_addresses_is_taken(planned, embedded):
    vpc = embedded.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    small, large = (
        embedded.ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone="us-east-1a")
        for block in ("10.9.0.0/28", "10.9.64.0/18")
    )
    ids = tuple(found["Subnet"]["SubnetId"] for found in (small, large))
    plan = planned(FleetFile(subnet_ids=ids))
    assert [subnet.subnet_id for subnet in plan.subnets] == [ids[1]]


def test_given_values_come_before_auto(planned):
    file = FleetFile(
        iam_fleet_role="arn:aws:iam::123456789012:role/ours",
        iam_instance_profile="arn:aws:iam::123456789012:instance-profile/ours",
        security_group_ids=("sg-1",),
    )
    plan = planned(file)
    assert plan.fleet_role_arn == file.iam_fleet_role
    assert plan.instance_profile_arn == file.iam_instance_profile
    assert plan.security_group_ids == ("sg-1",)


def test_arm_machines_get_an_arm_image(planned):
    assert planned(MACHINE_TYPE=["m6g.large"]).types[0].architecture == "arm64"
    assert planned(MACHINE_TYPE=["m6g.large"]).image_id != planned().image_id


@pytest.mark.parametrize(
    ("types", "what"),
    [
        (["m5.xlarge", "m6g.large"], "mixes machines"),
        (["m5.gigantic"], "does not have"),
    ],
)
def test_types_that_cannot_be_are_the_users_mistake(planned, types, what):
    with pytest.raises(UserError, match=what):
        planned(MACHINE_TYPE=types)


def test_an_image_that_is_not_there_is_the_users_mistake(planned):
    with pytest.raises(UserError, match="ami-00000000"):
        planned(FleetFile(image_id="ami-00000000"))


def test_a_machine_joins_the_cluster_as_one_of_the_apps(planned):
    run = dataclasses.replace(new_run(), cluster="our-cluster", config=config_of(ASSIGN_IP=False))
    data = launch_template.data(run, planned())
    script = base64.b64decode(data["UserData"]).decode()
    assert "ECS_CLUSTER=our-cluster\n" in script
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n" in script
    assert 'ECS_INSTANCE_ATTRIBUTES={"distributed-something.app": "Test"}\n' in script
    assert "GPU" not in script
    assert "KeyName" not in data
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    (interface,) = data["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"] is False
    (volume,) = data["BlockDeviceMappings"]
    assert volume["Ebs"]["VolumeType"] == "gp3" and volume["Ebs"]["VolumeSize"] >= 30
    kinds = {tag["ResourceType"] for tag in data["TagSpecifications"]}
    assert kinds == {"instance", "volume"}


def test_the_key_is_named_as_ec2_names_it(planned):
    run = dataclasses.replace(new_run(), config=config_of(ASSIGN_IP=True))
    data = launch_template.data(run, planned(SSH_KEY_NAME="our-key.pem"))
    assert data["KeyName"] == "our-key"
