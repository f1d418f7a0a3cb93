import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def machines(aws, running_app):
    """Two running instances of a fleet, described."""
    return find(aws, running_app, "running")


def find(aws, app, *states, **filters):
    wanted = {"tag:aws:ec2spot:fleet-request-id": app.fleets, **filters}
    if states:
        wanted["instance-state-name"] = list(states)
    pages = aws.ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": name, "Values": values} for name, values in wanted.items()]
    )
    return [one for page in pages for r in page["Reservations"] for one in r["Instances"]]


def test_instance_is_described_with_all_that_a_run_needs(running_app, machines):
    one = machines[0]
    assert one["State"] == {"Code": 16, "Name": "running"}
    assert one["InstanceType"] == "m5.large"
    assert one["InstanceLifecycle"] == "spot"
    assert one["SpotInstanceRequestId"].startswith("sir-")
    assert one["SubnetId"] == running_app.subnet
    assert one["Placement"]["AvailabilityZone"].startswith("us-east-1")
    tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    assert tags["Name"] == running_app.name
    assert tags["aws:ec2spot:fleet-request-id"] == running_app.fleets[0]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"instance-type": ["m5.large"]}, 2),
        ({"instance-type": ["c5.large"]}, 0),
        ({"instance-type": ["m5.*"]}, 2),
        ({"tag-key": ["Name"]}, 2),
        ({"tag:Name": ["other"]}, 0),
        ({"instance-lifecycle": ["spot"], "instance-state-code": ["16"]}, 2),
    ],
    ids=["type", "other type", "pattern", "tag key", "other tag", "two"],
)
def test_filters_choose_instances(aws, running_app, filters, count):
    assert len(find(aws, running_app, **filters)) == count


def test_unknown_filter_is_refused(aws, running_app):
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        find(aws, running_app, nonsense=["x"])


def test_instances_are_found_by_id_and_unknown_ones_are_named(aws, machines):
    wanted = machines[0]["InstanceId"]
    answer = aws.ec2.describe_instances(InstanceIds=[wanted])
    assert [r["Instances"][0]["InstanceId"] for r in answer["Reservations"]] == [wanted]
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound.*i-0123456789abcdef0"):
        aws.ec2.describe_instances(InstanceIds=[wanted, "i-0123456789abcdef0"])


def test_tags_made_later_are_shown(aws, running_app, machines):
    wanted = machines[0]["InstanceId"]
    aws.ec2.create_tags(Resources=[wanted], Tags=[{"Key": "later", "Value": "1"}])
    assert [one["InstanceId"] for one in find(aws, running_app, **{"tag:later": ["1"]})] == [wanted]


def test_terminated_instance_has_a_reason_and_is_replaced(aws, app, wait_for):
    app.request(2)
    wait_for(lambda: len(find(aws, app, "running")) == 2)
    ids = [one["InstanceId"] for one in find(aws, app, "running")]
    answer = aws.ec2.terminate_instances(InstanceIds=ids[:1])
    (changed,) = answer["TerminatingInstances"]
    assert changed["PreviousState"]["Name"] == "running"
    assert changed["CurrentState"]["Name"] == "shutting-down"
    few = aws.ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"]
    assert [one["InstanceId"] for one in few] == ids[1:]
    both = aws.ec2.describe_instance_status(InstanceIds=ids, IncludeAllInstances=True)
    assert len(both["InstanceStatuses"]) == 2
    (one,) = wait_for(lambda: find(aws, app, "terminated"))
    assert one["InstanceId"] == ids[0]
    assert one["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    wait_for(lambda: len(find(aws, app, "running")) == 2)


def test_instances_that_moto_runs_are_still_there(aws, machines):
    image = machines[0]["ImageId"]
    started = aws.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large")
    own = started["Instances"][0]["InstanceId"]
    ids = [own, machines[0]["InstanceId"]]
    answer = aws.ec2.describe_instances(InstanceIds=ids)
    assert {r["Instances"][0]["InstanceId"] for r in answer["Reservations"]} == set(ids)
    assert aws.ec2.terminate_instances(InstanceIds=[own])["TerminatingInstances"]
