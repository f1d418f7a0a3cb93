import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from control.errors import ExplainedError, UserError
from control.explain import aws_errors, check_findings


def client_error(code, message="words of AWS", operation="SendMessage"):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


CODES = {*aws_errors.CODES, *aws_errors._SAME_AS} - {""}


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_its_own_sentence(code):
    explained = aws_errors.explain(client_error(code))
    assert explained.what.endswith(".") and explained.what[0].isupper()
    assert "{" not in explained.what + explained.fix
    assert aws_errors.code_of(client_error(code)) in aws_errors.CODES


@pytest.mark.parametrize(
    ("error", "kind", "what", "fix"),
    [
        (client_error("ExpiredToken"), UserError, "session has expired", "aws sso login"),
        (client_error("AccessDeniedException"), ExplainedError, "words of AWS", "SendMessage"),
        (client_error("NonExistent"), ExplainedError, "NonExistent", "troubleshooting"),
        (
            client_error("AWS.SimpleQueueService.NonExistentQueue"),
            ExplainedError,
            "queue does not exist",
            "setup",
        ),
        (exceptions.NoCredentialsError(), UserError, "No AWS credentials", "aws configure"),
        (exceptions.ProfileNotFound(profile="x"), UserError, "profile", "list-profiles"),
        (
            exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
            ExplainedError,
            "http://127.0.0.1:1 cannot be reached",
            "network",
        ),
    ],
)
def test_causes_are_explained(error, kind, what, fix):
    explained = aws_errors.explain(error)
    assert type(explained) is kind
    assert what in explained.what and fix in explained.fix


@pytest.mark.parametrize(
    ("service", "operation", "message", "permission"),
    [
        ("ec2", "RequestSpotFleet", "", "ec2:RequestSpotFleet"),
        ("monitoring", "PutMetricAlarm", "", "cloudwatch:PutMetricAlarm"),
        ("s3", "ListObjectsV2", "Access Denied", "s3:ListBucket"),
        ("sqs", "SendMessageBatch", "", "sqs:SendMessage"),
        ("s3", "HeadObject", "Access Denied", "s3:GetObject"),
    ],
)
def test_a_refused_call_names_the_permission_that_it_lacks(service, operation, message, permission):
    error = client_error("AccessDenied", message, operation)
    error.response["ResponseMetadata"] = {aws_errors.SERVICE: service}
    assert f"the permission {permission}." in aws_errors.explain(error).fix


def test_what_is_not_of_aws_is_not_explained_away():
    assert aws_errors.explain(KeyError("x")) is None


ARN = "arn:aws:sqs:us-east-1:1:Queue"


@pytest.mark.parametrize(
    ("code", "message", "permission"),
    [
        (
            "AccessDenied",
            f"User: arn:aws:iam::1:user/ada is not authorized to perform: sqs:sendmessage on "
            f"resource: {ARN} because no identity-based policy allows the sqs:sendmessage action",
            f"sqs:sendmessage on {ARN}",
        ),
        (
            "AccessDeniedException",
            "User: arn:aws:sts::1:assumed-role/A/b is not authorized to perform: "
            "iam:PassRole on resource: arn:aws:iam::1:role/Task",
            "iam:PassRole on arn:aws:iam::1:role/Task",
        ),
        (
            "UnauthorizedOperation",
            "You are not authorized to perform this operation. User: arn:aws:iam::1:user/ada is "
            "not authorized to perform: ec2:RequestSpotFleet on resource: * because no "
            "identity-based policy allows the ec2:RequestSpotFleet action. Encoded authorization "
            "failure message: aGVsbG8",
            "ec2:RequestSpotFleet on *",
        ),
        (
            "AuthorizationError",
            "User: arn:aws:iam::1:user/ada is not authorized to perform: SNS:Publish.",
            "SNS:Publish",
        ),
    ],
)
def test_a_missing_permission_is_named(code, message, permission):
    explained = aws_errors.explain(client_error(code, message))
    assert f"lacks the permission {permission}: " in explained.what
    assert f"permission {permission}." in explained.fix and "setupAWS" in explained.fix
    assert "aGVsbG8" not in explained.what


def test_a_bucket_that_does_not_exist_has_one_sentence_wherever_it_is_found():
    error = client_error("NoSuchBucket", "The specified bucket does not exist", "ListObjectsV2")
    error.response["Error"]["BucketName"] = "mine"
    found = aws_errors.explain(error)
    values = {"setting": "AWS_BUCKET", "bucket": "mine", "region": "us-east-1"}
    known = aws_errors.failure("NoSuchBucket", **values)
    assert type(known) is type(found) is UserError and known.what == found.what
    assert known.fix.endswith("aws s3 mb s3://mine --region us-east-1")
    assert check_findings.FOUND["no bucket"].fill("", **values).what == found.what


@pytest.mark.parametrize(
    ("message", "symptom"),
    [
        ("Unable to Start a service that is still Draining.", "service draining"),
        ("The role defined for the function cannot be assumed by Lambda.", "role not ready"),
        ("Something else.", ""),
    ],
)
def test_failures_that_share_a_code_are_distinguished_by_the_words_of_aws(message, symptom):
    assert aws_errors.symptom(client_error("InvalidParameterException", message)) == symptom


def test_what_is_no_error_of_aws_is_summed_up_by_its_text():
    assert aws_errors.summary(KeyError("x")) == "'x'"
    assert aws_errors.summary(client_error("ExpiredToken")) == "Your AWS session has expired."
