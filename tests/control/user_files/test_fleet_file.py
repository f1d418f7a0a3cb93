"""Fleet files, ours and those of Distributed-Something."""

from __future__ import annotations

import json

import pytest

from control.errors import UserError
from control.user_files import fleet_file
from tests.conftest import ROOT

CLASSIC = {
    "IamFleetRole": "arn:aws:iam::123456789012:role/our-fleet-role",
    "AllocationStrategy": "lowestPrice",
    "TerminateInstancesWithExpiration": True,
    "Type": "maintain",
    "LaunchSpecifications": [
        {
            "ImageId": "ami-1",
            "KeyName": "key",
            "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/ours"},
            "BlockDeviceMappings": [],
            "NetworkInterfaces": [{"SubnetId": "subnet-1,subnet-2", "Groups": ["sg-1"]}],
        }
    ],
}


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "fleet.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_the_example_holds_nothing_of_an_account():
    assert fleet_file.read(ROOT / "files/exampleFleet.json") == fleet_file.FleetFile()


def test_given_values_are_taken(written):
    content = {"IamFleetRole": "arn:r", "SubnetIds": ["subnet-1"], "SecurityGroupIds": "sg-1"}
    file = fleet_file.read(written(content))
    assert file.iam_fleet_role == "arn:r"
    assert file.subnet_ids == ("subnet-1",) and file.security_group_ids == ("sg-1",)
    assert file.image_id is None


def test_of_a_classic_file_the_accounts_own_values_are_taken_and_the_rest_is_named(written):
    file = fleet_file.read(written(CLASSIC))
    assert file.iam_fleet_role == "arn:aws:iam::123456789012:role/our-fleet-role"
    assert file.iam_instance_profile == "arn:aws:iam::123456789012:instance-profile/ours"
    assert file.subnet_ids == ("subnet-1", "subnet-2")
    assert file.security_group_ids == ("sg-1",)
    assert file.image_id is None
    (note,) = file.notes
    assert "AllocationStrategy" in note and "ImageId" in note and "IamFleetRole" not in note


def test_placeholders_of_a_classic_file_become_auto_and_are_named(written):
    content = json.dumps(CLASSIC).replace("123456789012", "XXXXXXXXXXXX")
    content = content.replace("subnet-1,subnet-2", "subnet-WWWWWWWW").replace("sg-1", "sg-ZZZZZZZ")
    file = fleet_file.read(written(content))
    assert (file.iam_fleet_role, file.subnet_ids, file.security_group_ids) == (None, None, None)
    assert "placeholders" in file.notes[1] and "SubnetId" in file.notes[1]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "line 1"),
        ("[]", "one JSON object"),
        ({"SubnetId": "subnet-1"}, "SubnetId is not a value"),
        ({"SubnetIds": 3}, "SubnetIds is not a list"),
        ({"IamFleetRole": 3}, "IamFleetRole is not text"),
    ],
)
def test_mistakes_are_named(written, content, what):
    with pytest.raises(UserError, match=what):
        fleet_file.read(written(content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such fleet file"):
        fleet_file.read(tmp_path / "none.json")
