"""What a fleet's history means: every cause has a sentence and a cure."""

from __future__ import annotations

import pytest

from control.explain import no_machine

CAPACITY = (
    "m5.xlarge, ami-1, Linux/UNIX, us-east-1a: There is no Spot capacity available that matches "
    "your request. (Service: AmazonEC2; Status Code: 500; Error Code: InsufficientInstanceCapacity)"
)


@pytest.mark.parametrize("words", sorted(no_machine.EVENTS))
def test_every_event_has_a_sentence_and_a_cure(words):
    (said,) = no_machine.explain([("error", f"{words} is what AWS says")])
    assert said.what.endswith(".") and said.what[0].isupper()
    assert said.fix.endswith((".", "startCluster")) and "{" not in said.what + said.fix


@pytest.mark.parametrize(
    ("sub_type", "detail", "what", "fix", "lasting"),
    [
        ("launchSpecTemporarilyBlacklisted", CAPACITY, "to give at the", "MACHINE_TYPE", False),
        ("spotInstanceCountLimitExceeded", "Max spot instance", "quota", "Service Quotas", False),
        (
            "launchSpecUnusable",
            "price 0.2 is above 0.1",
            "above your limit",
            "MACHINE_PRICE",
            False,
        ),
        ("fleetProgressHalted", "", "above your limit", "MAX_HOURLY_COST", False),
        ("iamFleetRoleInvalid", "", "role of the fleet", "setupAWS", True),
        (
            "launchSpecTemporarilyBlacklisted",
            "The key pair 'x' does not exist (Error Code: InvalidKeyPair.NotFound)",
            "SSH_KEY_NAME",
            "SSH_KEY_NAME",
            True,
        ),
        (
            "spotFleetRequestConfigurationInvalid",
            "m5.xlarge: Error Code: InvalidSubnetID.NotFound",
            "subnet",
            "SubnetIds",
            True,
        ),
        (
            "launchSpecTemporarilyBlacklisted",
            "Invalid IAM Instance Profile name",
            "role of the machines",
            "IamInstanceProfile",
            True,
        ),
        ("spotFleetRequestConfigurationInvalid", "x", "not valid: x.", "fleet file", True),
    ],
    ids=str,
)
def test_capacity_quota_price_and_bad_parameters_have_each_their_cure(
    sub_type, detail, what, fix, lasting
):
    (said,) = no_machine.explain([(sub_type, detail)])
    assert what in said.what and fix in said.fix
    assert said.lasting is lasting


def test_one_cause_in_many_zones_is_said_once_and_what_follows_from_it_not_at_all():
    events = [
        ("submitted", ""),
        ("active", ""),
        ("launchSpecTemporarilyBlacklisted", CAPACITY),
        ("launchSpecTemporarilyBlacklisted", CAPACITY.replace("1a", "1b")),
        ("allLaunchSpecsTemporarilyBlacklisted", "Several attempts to launch instances failed."),
        ("spotInstanceCountLimitExceeded", "Max spot instance count exceeded"),
    ]
    capacity, quota = no_machine.explain(events)
    assert "us-east-1a" in capacity.what and "quota" in quota.what


def test_a_fleet_that_does_well_needs_no_explanation():
    events = [
        ("submitted", ""),
        ("active", ""),
        ("launched", '{"instanceType":"m5.xlarge","image":"ami-1"}'),
        ("modify_in_progress", "targetCapacity set to 3"),
    ]
    assert no_machine.explain(events) == []
