"""The policies of files/iam: filled in, no wider than they must be, and no narrower than AWS's."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from control.aws import iam
from control.config import load_config
from control.errors import UserError
from tests.conftest import ROOT

ACCOUNT = "123456789012"
# What AWS's managed policy allows and ours does not, each with its reason.
LEFT_OUT = {
    "instance-role.json": (
        "AmazonEC2ContainerServiceforEC2Role",
        {
            # setup makes the cluster; an agent that makes one would hide a misspelled name.
            "ecs:CreateCluster",
            # The execution role has these: a container could take the machine's role.
            "ecr:GetAuthorizationToken",
            "ecr:BatchCheckLayerAvailability",
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        },
    ),
    "execution-role.json": ("AmazonECSTaskExecutionRolePolicy", set()),
    "fleet-role.json": (
        "AmazonEC2SpotFleetTaggingRole",
        {
            # No load balancer stands before workers.
            "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
            "elasticloadbalancing:RegisterTargets",
        },
    ),
    "scheduler-role.json": ("AWSLambdaRole", set()),
}


@pytest.fixture
def filled(write_config):
    """The filled roles by file name."""

    def fill(**changes):
        config = load_config(write_config(**changes))
        known = iam.policy_names(config, ACCOUNT)
        folder = ROOT / "files/iam"
        names = sorted(path.name for path in folder.glob("*.json"))
        return dict(zip(names, iam.read_policy(folder, known), strict=True))

    return fill


def statements(role):
    for kind in ("PolicyDocument", "ProjectPolicyDocument"):
        yield from role.get(kind, {}).get("Statement", ())


def listed(value):
    return value if isinstance(value, list) else [value]


def actions(role):
    return {action for s in statements(role) for action in listed(s["Action"])}


def test_nothing_is_left_to_fill_in(filled):
    for name, role in filled().items():
        assert not re.search(r"(?<!\$)\{[A-Z_]+\}", json.dumps(role)), name


def test_a_name_that_stands_for_several_makes_several_resources(filled):
    role = filled(SOURCE_BUCKET="inputs", DESTINATION_BUCKET="outputs")["task-role.json"]
    (inputs,) = (s for s in statements(role) if s["Sid"] == "Inputs")
    buckets = ("test-bucket", "inputs", "outputs")
    assert inputs["Resource"] == [f"arn:aws:s3:::{name}/*" for name in buckets]


def test_other_partitions_have_other_arns(filled):
    text = json.dumps(filled(AWS_REGION="us-gov-west-1")["task-role.json"])
    assert "arn:aws-us-gov:s3:::" in text and "arn:aws:" not in text


def test_an_unknown_placeholder_is_named(tmp_path, write_config):
    (tmp_path / "x.json").write_text('{"RoleName": "{QUEUE}"}')
    known = iam.policy_names(load_config(write_config()), ACCOUNT)
    with pytest.raises(UserError, match="x.json: 'QUEUE'"):
        iam.read_policy(tmp_path, known)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="x.json is not a JSON file"):
        iam.read_policy(tmp_path, {})


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_role_that_aws_itself_uses_allows_what_awss_managed_policy_allows(filled, name):
    managed, left_out = LEFT_OUT[name]
    document = json.loads(aws_managed_policies_data)[managed]["Document"]
    theirs = {a for s in document["Statement"] for a in listed(s["Action"])}
    assert actions(filled()[name]) == theirs - left_out


def test_the_lambda_may_write_its_log_as_awss_managed_policy_allows(filled):
    document = json.loads(aws_managed_policies_data)["AWSLambdaBasicExecutionRole"]["Document"]
    theirs = {a for s in document["Statement"] for a in listed(s["Action"])}
    # setupAWS makes the log group, with an end of its logs' life.
    assert theirs - {"logs:CreateLogGroup"} <= actions(filled()["monitor-role.json"])


def test_no_role_may_do_everything_of_a_service_or_pass_any_role(filled):
    for name, role in filled().items():
        for statement in statements(role):
            for action in listed(statement["Action"]):
                assert "*" not in action or action == "ecs:Submit*", (name, action)
                if action == "iam:PassRole":
                    assert statement["Condition"]["StringEquals"]["iam:PassedToService"]
                    assert "*" not in listed(statement["Resource"])


@pytest.mark.parametrize("service", ["sqs", "s3", "sns", "scheduler", "iam"])
def test_what_belongs_to_a_project_is_named(filled, service):
    for name, role in filled().items():
        for statement in statements(role):
            if any(action.startswith(f"{service}:") for action in listed(statement["Action"])):
                assert "*" not in listed(statement["Resource"]), (name, statement["Sid"])


def test_no_role_reaches_another_queue_or_bucket(filled):
    others = (
        f"arn:aws:sqs:us-east-1:{ACCOUNT}:OtherQueue",
        "arn:aws:s3:::other-bucket",
        "arn:aws:s3:::other-bucket/key",
    )
    for name, role in filled().items():
        for statement in statements(role):
            if any(a.startswith(("sqs:", "s3:")) for a in listed(statement["Action"])):
                for pattern in listed(statement["Resource"]):
                    assert not any(fnmatchcase(o, pattern) for o in others), (name, pattern)


def test_policies_fit_into_what_iam_takes_with_the_longest_names(filled):
    longest = filled(
        APP_NAME="A" * 61,
        AWS_BUCKET="b" * 63,
        SOURCE_BUCKET="c" * 63,
        WORKSPACE_BUCKET="d" * 63,
        DESTINATION_BUCKET="e" * 63,
        SQS_QUEUE_NAME="f" * 80,
        SQS_DEAD_LETTER_QUEUE="g" * 80,
        ECS_CLUSTER="h" * 100,
        LOG_GROUP_NAME="i" * 100,
        AWS_REGION="ap-southeast-1",
    )
    for name, role in longest.items():
        # IAM quotas: a managed policy 6,144 characters, inline ones 10,240; spaces do not count.
        for kind, most in (("PolicyDocument", 10_240), ("ProjectPolicyDocument", 6_144)):
            text = json.dumps(role.get(kind, {}), separators=(",", ":"))
            assert len(text) <= most, (name, len(text))
        assert len(f"{role['RoleName']}-{'A' * 61}") <= 128
