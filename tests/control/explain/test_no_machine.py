"""The history of a fleet: every cause has a sentence and a fix."""

from __future__ import annotations

import pytest

from control.explain import no_machine

CAPACITY = (
    "m5.xlarge, ami-1, Linux/UNIX, us-east-1a: There is no Spot capacity available that matches "
    "your request. (Service: AmazonEC2; Status Code: 500; Error Code: InsufficientInstanceCapacity)"
)


WORDS = {words: symptom for words, symptom in no_machine._WORDS.items() if symptom}


@pytest.mark.parametrize("words", WORDS)
def test_every_event_has_its_reason(words):
    (said,) = no_machine.explain([("error", f"{words} are AWS's words")])
    assert said.situation == WORDS[words] and "{" not in said.what + said.fix


def test_every_reason_has_its_event():
    assert set(WORDS.values()) == set(no_machine.REASONS)


@pytest.mark.parametrize(
    ("sub_type", "detail", "what", "fix", "waiting_helps"),
    [
        ("launchSpecTemporarilyBlacklisted", CAPACITY, "available right now", "MACHINE_TYPE", True),
        ("spotInstanceCountLimitExceeded", "Max spot instance", "quota", "Service Quotas", True),
        (
            "launchSpecUnusable",
            "price 0.2 is above 0.1",
            "above your limit",
            "MACHINE_PRICE",
            True,
        ),
        ("fleetProgressHalted", "", "above your limit", "MAX_HOURLY_COST", True),
        ("iamFleetRoleInvalid", "", "role of the fleet", "setupAWS", False),
        (
            "launchSpecTemporarilyBlacklisted",
            "The key pair 'x' does not exist (Error Code: InvalidKeyPair.NotFound)",
            "SSH_KEY_NAME",
            "SSH_KEY_NAME",
            False,
        ),
        (
            "spotFleetRequestConfigurationInvalid",
            "m5.xlarge: Error Code: InvalidSubnetID.NotFound",
            "subnet",
            "SubnetIds",
            False,
        ),
        (
            "launchSpecTemporarilyBlacklisted",
            "Invalid IAM Instance Profile name",
            "role of the machines",
            "IamInstanceProfile",
            False,
        ),
        ("spotFleetRequestConfigurationInvalid", "x", "not valid: x.", "fleet file", False),
    ],
    ids=str,
)
def test_capacity_quota_price_and_bad_parameters_have_each_their_cure(
    sub_type, detail, what, fix, waiting_helps
):
    (said,) = no_machine.explain([(sub_type, detail)])
    assert what in said.what and fix in said.fix
    assert said.waiting_helps is waiting_helps


def test_one_cause_in_many_zones_is_reported_once_and_what_follows_from_it_not_at_all():
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
