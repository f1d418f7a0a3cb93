"""Errors of AWS and boto3: symptom -> reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import boto3.exceptions
from botocore import exceptions as botocore_errors

from control.errors import ExplainedError, UserError


@dataclass(frozen=True)
class Reason:
    """What a symptom means, in a sentence, and the one thing to do."""

    sentence: str
    cure: str
    users_mistake: bool = False


_LOGIN = "Log in again (for example: aws sso login), or set AWS_PROFILE in config.py."

_KEYS = (
    "Give this computer credentials: aws configure (or aws sso login), and name the profile as "
    "AWS_PROFILE in config.py. To try without AWS: python run.py local files/exampleJob.json"
)

# AWS error code -> reason. {operation} and {message} are AWS's own words.
ERROR_CODES: dict[str, Reason] = {
    "ExpiredToken": Reason("your AWS session has expired.", _LOGIN, True),
    "ExpiredTokenException": Reason("your AWS session has expired.", _LOGIN, True),
    "InvalidClientTokenId": Reason("AWS does not know these credentials.", _KEYS, True),
    "UnrecognizedClientException": Reason("AWS does not know these credentials.", _KEYS, True),
    "AuthFailure": Reason("AWS does not accept these credentials.", _KEYS, True),
    "SignatureDoesNotMatch": Reason(
        "AWS does not accept these credentials: {message}",
        "Check the secret key of your profile, and that this computer's clock is right.",
        True,
    ),
    "RequestExpired": Reason("{message}", "Set this computer's clock right.", True),
    "AccessDenied": Reason(
        "your login lacks the permission {permission}: {message}",
        "Ask the administrator of the account to type `python run.py setupAWS` with this "
        "config.py, which gives DistributedSomethingControlRole all that it needs; or, if you use "
        "a login of another kind, for the permission {permission}.",
    ),
    "QueueDoesNotExist": Reason(
        "{operation}: the queue does not exist.", "Run: python run.py setup"
    ),
    "QueueDeletedRecently": Reason(
        "a queue of this name was deleted less than 60 seconds ago.",
        "Wait a minute and run the same command again.",
    ),
    "NoSuchBucket": Reason(
        "{operation}: there is no such bucket: {message}",
        "Correct the bucket's name in config.py, or make it: aws s3 mb s3://NAME",
        True,
    ),
    "ClusterNotFoundException": Reason(
        "{operation}: the cluster does not exist.", "Run: python run.py setup"
    ),
    "ServiceNotFoundException": Reason(
        "{operation}: the service does not exist.", "Run: python run.py setup"
    ),
    "ServiceNotActiveException": Reason(
        "{operation}: the service was deleted.", "Run: python run.py setup"
    ),
    "OverLimit": Reason("{operation}: {message}", "Wait a minute and run the same command again."),
    "SpotFleetRequestLimitExceeded": Reason(
        "{message}", "End fleets that you no longer need, then run the same command again."
    ),
    "MaxSpotInstanceCountExceeded": Reason(
        "your account's quota of spot machines is used up: {message}",
        "Ask for more at Service Quotas ('All Standard Spot Instance Requests'), or use fewer "
        "machines.",
    ),
}

# botocore retries these a few times (its retries/standard.py); after that they come to us.
_THROTTLED = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled"),
        *("RequestLimitExceeded", "RequestThrottledException", "TooManyRequestsException"),
        *("SlowDown", "LimitExceededException", "RequestTimeout", "RequestTimeoutException"),
    }
)

# "is not authorized to perform: ACTION on resource: ARN because ...", as most services word it.
_NOT_AUTHORIZED = re.compile(r"not authorized to perform:? ([\w-]+:\S+)(?: on resource:? (\S+))?")

SAME_AS = {
    "AccessDeniedException": "AccessDenied",
    "UnauthorizedOperation": "AccessDenied",
    "AuthorizationError": "AccessDenied",
    "403": "AccessDenied",
    "AWS.SimpleQueueService.NonExistentQueue": "QueueDoesNotExist",
    "AWS.SimpleQueueService.QueueDeletedRecently": "QueueDeletedRecently",
}

# In ResponseMetadata: the name by which requests to the service are signed.
SERVICE = "Service"

# Where IAM's name of a service or an action is another than the API's (Service Authorization
# Reference: "Actions, resources, and condition keys").
_IAM_SERVICES = {"monitoring": "cloudwatch"}

_IAM_ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "SendMessageBatch": "SendMessage",
    "Invoke": "InvokeFunction",
}


def explain(error: Exception) -> ExplainedError | None:
    """The two lines for an error of boto3; None for one that is not AWS's, hence a bug."""
    if isinstance(error, ExplainedError):
        return error
    if isinstance(error, boto3.exceptions.Boto3Error):
        # boto3's transfers wrap what botocore said.
        error = error.__context__ if isinstance(error.__context__, Exception) else error
    if isinstance(error, botocore_errors.ClientError):
        return _explain_code(error)
    return _explain_connection(error)


def code_of(error: botocore_errors.ClientError) -> str:
    """The error code, with the several spellings of one cause made one."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return SAME_AS.get(code, code)


def is_passing(error: botocore_errors.BotoCoreError | botocore_errors.ClientError) -> bool:
    """Whether the same request may succeed in a while: no network, throttling, a fault of AWS."""
    if isinstance(error, botocore_errors.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        return status >= 500 or code in _THROTTLED
    return isinstance(error, botocore_errors.HTTPClientError | botocore_errors.IncompleteReadError)


def _explain_code(error: botocore_errors.ClientError) -> ExplainedError:
    detail = error.response.get("Error", {})
    message = str(detail.get("Message", "")).rstrip(".") + "."
    operation = error.operation_name
    reason = ERROR_CODES.get(code_of(error))
    if reason is None:
        return ExplainedError(
            f"AWS refused {operation} ({detail.get('Code', 'no code')}): {message}",
            "Run the same command again; if it stays, see documentation/troubleshooting.md.",
        )
    words = {"operation": operation, "message": message, "permission": permission(error)}
    # EC2 adds a blob of some thousand letters that only an administrator could decode.
    words["message"] = message.split(" Encoded authorization failure message", 1)[0]
    kind = UserError if reason.users_mistake else ExplainedError
    what = reason.sentence.format(**words)
    return kind(what[0].upper() + what[1:], reason.cure.format(**words))


def permission(error: botocore_errors.ClientError) -> str:
    """The permission that a refused call lacks, as policies name it: 'ec2:RequestSpotFleet'.

    In AWS's own words, with the resource, where it says them; else from what was asked.
    """
    told = _NOT_AUTHORIZED.search(str(error.response.get("Error", {}).get("Message", "")))
    if told:
        action, resource = told.groups()
        return f"{action} on {resource.rstrip('.')}" if resource else action.rstrip(".")
    operation = error.operation_name
    metadata: Any = error.response.get("ResponseMetadata", {})
    prefix = metadata.get(SERVICE)
    if not prefix:
        return f"for {operation}"
    return f"{_IAM_SERVICES.get(prefix, prefix)}:{_IAM_ACTIONS.get(operation, operation)}"


def _explain_connection(error: Exception) -> ExplainedError | None:
    if isinstance(
        error, botocore_errors.NoCredentialsError | botocore_errors.PartialCredentialsError
    ):
        return UserError("No AWS credentials were found on this computer.", _KEYS)
    if isinstance(error, botocore_errors.ProfileNotFound):
        return UserError(
            f"AWS_PROFILE names a profile that this computer does not have ({error}).",
            "Write a profile that `aws configure list-profiles` shows, or 'default', in config.py.",
        )
    if isinstance(
        error,
        botocore_errors.SSOError
        | botocore_errors.TokenRetrievalError
        | botocore_errors.CredentialRetrievalError,
    ):
        return UserError(f"Your AWS login is not valid: {error}", _LOGIN)
    if isinstance(error, botocore_errors.HTTPClientError | botocore_errors.ConnectionError):
        address = getattr(error, "kwargs", {}).get("endpoint_url") or "AWS"
        return ExplainedError(
            f"{address} cannot be reached ({type(error).__name__}).",
            "Check the network of this computer, AWS_REGION in config.py, and AWS_ENDPOINT_URL if "
            "you set it; then run the same command again. Nothing is lost.",
        )
    if isinstance(error, botocore_errors.BotoCoreError):
        return ExplainedError(
            f"AWS could not be asked: {error}",
            "Run the same command again; if it stays, run it with --debug and report the output.",
        )
    return None
