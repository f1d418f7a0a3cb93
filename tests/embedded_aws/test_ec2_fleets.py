import base64
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


def history(aws, fleet, **changes):
    return aws.ec2.describe_spot_fleet_request_history(
        SpotFleetRequestId=fleet, StartTime=LONG_AGO, **changes
    )["HistoryRecords"]


def sub_types(aws, fleet):
    return [record["EventInformation"]["EventSubType"] for record in history(aws, fleet)]


def active(aws, fleet):
    return aws.ec2.describe_spot_fleet_instances(SpotFleetRequestId=fleet)["ActiveInstances"]


def test_fleet_is_described_as_requested(aws, app, wait_for):
    fleet = app.request(2, ClientToken=app.name)
    wait_for(lambda: app.fleet()["ActivityStatus"] == "fulfilled")
    found = app.fleet()
    assert found["SpotFleetRequestState"] == "active"
    assert found["Tags"] == [{"Key": "app", "Value": app.name}]
    config = found["SpotFleetRequestConfig"]
    assert (config["TargetCapacity"], config["FulfilledCapacity"]) == (2, 2.0)
    assert config["LaunchTemplateConfigs"][0]["Overrides"][0]["InstanceType"] == "m5.large"
    assert config["Type"] == "maintain"
    assert {one["InstanceType"] for one in active(aws, fleet)} == {"m5.large"}
    records = history(aws, fleet)
    assert [r["EventType"] for r in records[:2]] == ["fleetRequestChange"] * 2
    assert sub_types(aws, fleet) == ["submitted", "active", "launched", "launched"]
    assert {r["EventInformation"]["InstanceId"] for r in records[2:]} == {
        one["InstanceId"] for one in active(aws, fleet)
    }


def test_history_is_filtered_by_event_type_and_paged(aws, app, wait_for):
    fleet = app.request(2)
    wait_for(lambda: len(active(aws, fleet)) == 2)
    assert len(history(aws, fleet, EventType="instanceChange")) == 2
    assert len(history(aws, fleet, MaxResults=3)) == 3


def test_same_client_token_gives_the_same_fleet(aws, app):
    template = app.template()
    first = app.request(1, template=template, ClientToken=app.name)
    assert app.request(1, template=template, ClientToken=app.name) == first
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        app.request(2, template=template, ClientToken=app.name)


def test_target_follows_modify(aws, app, wait_for):
    fleet = app.request(1)
    wait_for(lambda: len(active(aws, fleet)) == 1)
    aws.ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet, TargetCapacity=3)
    wait_for(lambda: len(active(aws, fleet)) == 3)
    wait_for(lambda: app.fleet()["SpotFleetRequestState"] == "active")
    aws.ec2.modify_spot_fleet_request(
        SpotFleetRequestId=fleet, TargetCapacity=2, ExcessCapacityTerminationPolicy="noTermination"
    )
    wait_for(lambda: "modify_succeeded" in sub_types(aws, fleet)[-1:])
    assert len(active(aws, fleet)) == 3
    aws.ec2.modify_spot_fleet_request(
        SpotFleetRequestId=fleet, TargetCapacity=1, ExcessCapacityTerminationPolicy="default"
    )
    wait_for(lambda: len(active(aws, fleet)) == 1)


def test_policy_of_the_request_holds_when_the_target_is_lowered(aws, app, wait_for):
    fleet = app.request(2, ExcessCapacityTerminationPolicy="noTermination")
    wait_for(lambda: len(active(aws, fleet)) == 2)
    aws.ec2.modify_spot_fleet_request(SpotFleetRequestId=fleet, TargetCapacity=1)
    wait_for(lambda: "modify_succeeded" in sub_types(aws, fleet))
    assert len(active(aws, fleet)) == 2


def test_cancelled_fleet_ends(aws, app, wait_for):
    fleet = app.request(1)
    wait_for(lambda: active(aws, fleet))
    answer = aws.ec2.cancel_spot_fleet_requests(
        SpotFleetRequestIds=[fleet, "sfr-unknown"], TerminateInstances=True
    )
    (done,) = answer["SuccessfulFleetRequests"]
    assert done["CurrentSpotFleetRequestState"] == "cancelled_terminating"
    assert done["PreviousSpotFleetRequestState"] == "active"
    (failed,) = answer["UnsuccessfulFleetRequests"]
    assert failed["Error"]["Code"] == "fleetRequestIdDoesNotExist"
    wait_for(lambda: app.fleet()["SpotFleetRequestState"] == "cancelled")
    answer = aws.ec2.cancel_spot_fleet_requests(
        SpotFleetRequestIds=[fleet], TerminateInstances=True
    )
    (failed,) = answer["UnsuccessfulFleetRequests"]
    assert failed["Error"]["Code"] == "fleetRequestNotInCancellableState"


def test_fleet_expires(aws, app, wait_for):
    # EC2 takes whole seconds.
    until = datetime.now(timezone.utc) + timedelta(seconds=1)
    fleet = app.request(1, ValidUntil=until, TerminateInstancesWithExpiration=True)
    wait_for(lambda: app.fleet()["SpotFleetRequestState"] == "cancelled")
    assert "expired" in sub_types(aws, fleet)
    assert active(aws, fleet) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda ec2: ec2.describe_spot_fleet_requests(SpotFleetRequestIds=["sfr-unknown"]),
        lambda ec2: ec2.describe_spot_fleet_instances(SpotFleetRequestId="sfr-unknown"),
        lambda ec2: ec2.modify_spot_fleet_request(SpotFleetRequestId="sfr-unknown"),
        lambda ec2: ec2.describe_spot_fleet_request_history(
            SpotFleetRequestId="sfr-unknown", StartTime=LONG_AGO
        ),
    ],
    ids=["describe", "instances", "modify", "history"],
)
def test_unknown_fleet_is_not_found(aws, call):
    with pytest.raises(ClientError) as error:
        call(aws.ec2)
    assert error.value.response["Error"]["Code"] == "InvalidSpotFleetRequestId.NotFound"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"IamFleetRole": "fleet"}, "InvalidSpotFleetRequestConfig"),
        ({"LaunchTemplateConfigs": []}, "InvalidSpotFleetRequestConfig"),
        ({"template": "lt-0123456789abcdef0"}, "InvalidLaunchTemplateId"),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": []}]},
            "InvalidParameterValue",
        ),
    ],
    ids=["role", "no specification", "template", "tags"],
)
def test_wrong_request_is_refused(aws, app, changes, code):
    with pytest.raises(ClientError) as error:
        app.request(1, **changes)
    assert code in error.value.response["Error"]["Code"]


def test_dry_run_requests_nothing(aws, app):
    with pytest.raises(ClientError, match="DryRunOperation"):
        aws.ec2.request_spot_fleet(DryRun=True, SpotFleetRequestConfig=app.config(1))


@pytest.mark.parametrize(
    ("template", "override", "said"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, {}, "InvalidAMIID.NotFound"),
        ({}, {"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({}, {"InstanceType": "z9.enormous"}, "InvalidParameterValue"),
        ({"KeyName": "absent"}, {}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, {}, "InvalidGroup.NotFound"),
        (
            {
                "NetworkInterfaces": [
                    {"DeviceIndex": 0, "Groups": ["sg-0123456789abcdef0"]},
                ]
            },
            {},
            "InvalidGroup.NotFound",
        ),
        ({"IamInstanceProfile": {"Name": "absent"}}, {}, "IAM Instance Profile"),
    ],
    ids=["image", "subnet", "type", "key", "group", "group of interface", "profile"],
)
def test_what_is_missing_is_named_in_the_history(aws, app, wait_for, template, override, said):
    override = {"InstanceType": "m5.large", "SubnetId": app.subnet, **override}
    fleet = app.request(1, template=app.template(**template), override=override)
    (record,) = wait_for(lambda: history(aws, fleet, EventType="error"))
    assert record["EventInformation"]["EventSubType"] == "spotFleetRequestConfigurationInvalid"
    assert said in record["EventInformation"]["EventDescription"]
    assert app.fleet()["ActivityStatus"] == "error"
    assert active(aws, fleet) == []


def test_classic_launch_specifications_work_too(aws, app, wait_for):
    image = aws.ssm.get_parameter(
        Name="/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    )["Parameter"]["Value"]
    specification = {
        "ImageId": image,
        "InstanceType": "m5.large",
        "SubnetId": app.subnet,
        "UserData": base64.b64encode(f"ECS_CLUSTER={app.name}".encode()).decode(),
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "classic"}]}
        ],
    }
    config = app.config(1, LaunchSpecifications=[specification])
    del config["LaunchTemplateConfigs"]
    answer = aws.ec2.request_spot_fleet(SpotFleetRequestConfig=config)
    app.fleets.append(answer["SpotFleetRequestId"])
    wait_for(lambda: aws.ecs.list_container_instances(cluster=app.name)["containerInstanceArns"])


def test_spot_prices_are_of_now_and_grow_with_the_machine(aws):
    answer = aws.ec2.describe_spot_price_history(
        InstanceTypes=["m5.large", "m5.4xlarge", "g5.xlarge"], ProductDescriptions=["Linux/UNIX"]
    )
    prices = {one["InstanceType"]: float(one["SpotPrice"]) for one in answer["SpotPriceHistory"]}
    assert 0.01 < prices["m5.large"] < prices["m5.4xlarge"] < 1
    assert prices["m5.large"] * 2 < prices["g5.xlarge"]
    zones = {one["AvailabilityZone"] for one in answer["SpotPriceHistory"]}
    assert zones == {"us-east-1a", "us-east-1b", "us-east-1c"}
    age = datetime.now(timezone.utc) - answer["SpotPriceHistory"][0]["Timestamp"]
    assert age < timedelta(minutes=1)
