"""Errors of AWS and boto3, and other failures of AWS -> reason."""

from __future__ import annotations

import re
from typing import Any

import boto3.exceptions
from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError

from control.errors import ExplainedError
from control.explain import no_machine
from control.explain.reason import Reason, classify

_LOGIN = Reason(
    "Your AWS session has expired.",
    "Log in again (for example: {aws:sso login}), or set AWS_PROFILE in config.py.",
    exit_code=2,
)
_INVALID_LOGIN = Reason("Your AWS login is not valid: {message}", _LOGIN.fix, exit_code=2)
_KEYS = (
    "Give this computer credentials: {aws:configure} (or {aws:sso login}), and name the profile as "
    "AWS_PROFILE in config.py. To try without AWS: {local:files/exampleJob.json}"
)
_UNKNOWN_CREDENTIALS = Reason("AWS does not know these credentials.", _KEYS, exit_code=2)
_NO_CREDENTIALS = Reason("No AWS credentials were found on this computer.", _KEYS, exit_code=2)
_NO_PROFILE = Reason(
    "AWS_PROFILE names a profile that this computer does not have ({message}).",
    "Write a profile that {aws:configure list-profiles} shows, or 'default', in config.py.",
    exit_code=2,
)
_UNREACHABLE = Reason(
    "{address} cannot be reached ({message}).",
    "Check the network of this computer, AWS_REGION in config.py, and AWS_ENDPOINT_URL if you set "
    "it; then run the same command again. Nothing is lost.",
)
_NOT_SENT = Reason(
    "A request could not be sent to AWS: {message}",
    "Run the same command again; if it fails again, run it with --debug and report the output.",
)
_SET_UP = "Run: {setup}"
_LATER = "Wait a minute and run the same command again."
# AWS error code -> reason. {operation} and {message} are AWS's own words.
CODES: dict[str, Reason] = {
    "ExpiredToken": _LOGIN,
    "InvalidClientTokenId": _UNKNOWN_CREDENTIALS,
    "SignatureDoesNotMatch": Reason(
        "AWS does not accept these credentials: {message}",
        "Check the secret key of your profile, and that this computer's clock is right.",
        exit_code=2,
    ),
    "RequestExpired": Reason(
        "AWS refused the time of this computer: {message}", "Set its clock.", exit_code=2
    ),
    "AccessDenied": Reason(
        "Your login lacks the permission {permission}: {message}",
        "Ask the administrator of the account to type `{setupAWS}` with this config.py, which "
        "gives DistributedSomethingControlRole all that it needs; or, if you use another kind of "
        "login, to give it the permission {permission}.",
    ),
    "QueueDoesNotExist": Reason("{operation}: the queue does not exist.", _SET_UP),
    "QueueDeletedRecently": Reason(
        "SQS refuses the name of the queue: a queue of that name was deleted less than 60 seconds "
        "ago.",
        _LATER,
    ),
    "NoSuchBucket": Reason(
        "There is no bucket {bucket}.",
        "Correct {setting} in config.py, or create the bucket: {aws:s3 mb s3://{bucket} --region "
        "{region}}",
        exit_code=2,
    ),
    "ClusterNotFoundException": Reason("{operation}: the cluster does not exist.", _SET_UP),
    "ServiceNotFoundException": Reason("{operation}: the service does not exist.", _SET_UP),
    "ServiceNotActiveException": Reason("{operation}: the service was deleted.", _SET_UP),
    "OverLimit": Reason("{operation}: {message}", _LATER),
    "SpotFleetRequestLimitExceeded": Reason(
        "Your account's quota of spot fleets is used up: {message}",
        "End fleets that you no longer need, then run the same command again.",
    ),
    "MaxSpotInstanceCountExceeded": Reason(
        no_machine.REASONS["quota used up"].what,
        "Request a higher quota at Service Quotas ('All Standard Spot Instance Requests'), or use "
        "fewer machines.",
    ),
    "": Reason(
        "AWS refused {operation} ({code}): {message}",
        "Run the same command again; if it fails again, see documentation/troubleshooting.md.",
    ),
}
# Failures without a code of their own -> reason.
FAILURES: dict[str, Reason] = {
    "bucket refused": Reason(
        "{setting}: the bucket {bucket} belongs to another account, or you lack the permission "
        "s3:ListBucket on it.",
        "Ask its owner for s3:ListBucket and s3:GetObject, or correct {setting} in config.py.",
        exit_code=2,
    ),
    "bucket elsewhere": Reason(
        "{setting}: the bucket {bucket} is in {there}, the machines in {region}: transfers between "
        "regions are slow and charged by the GB.",
        "Use a bucket in {region}, or run in {there} (AWS_REGION).",
        exit_code=2,
    ),
    "no role": Reason(
        "The {kind} {name} does not exist in this account.",
        "Create it once, as somebody who may create roles: {setupAWS}",
    ),
    "policies used up": Reason(
        "The role {role} holds the policies of as many projects as AWS allows: {policies}.",
        "Remove one with its config.py ({run:--config FOLDER setupAWS --destroy}), or request more "
        "at Service Quotas ('Managed policies attached to an IAM role').",
    ),
    "no auto-monitor": Reason(
        "AUTO_MONITOR = True, but the auto-monitor does not exist in this account and region.",
        "Create it once, as somebody who may create roles ({setupAWS}); or set AUTO_MONITOR = "
        "False in config.py, type `{setup}` again, and keep `{monitor}` running.",
    ),
    "no machine type": Reason(
        "EC2 does not have a type of MACHINE_TYPE here: {message}",
        "Correct MACHINE_TYPE in config.py, for example ['m5.xlarge', 'm6i.xlarge'].",
        exit_code=2,
    ),
    "mixed machine types": Reason(
        "MACHINE_TYPE mixes machines that need different images: {types}.",
        "Use types of one architecture (x86_64 or arm64), all with or all without GPUs.",
        exit_code=2,
    ),
    "no machine image": Reason(
        "The image {image} is not in this region.",
        'Write "ImageId": "auto" in the fleet file.',
        exit_code=2,
    ),
    "no default VPC": Reason(
        "This account has no default VPC with subnets in this region, so no subnet can be chosen.",
        'Write "SubnetIds": ["subnet-..."] into the fleet file; ask your administrator.',
    ),
    "fleet not ended": Reason(
        "EC2 has not ended the fleet {fleet} ({code}: {message}).",
        "Run the same command again; if it fails again, end the fleet in the AWS console (EC2).",
    ),
    "schedules being deleted": Reason(
        "AWS still deletes the schedule group {group}, after {seconds} seconds.",
        "Run it again in some minutes, it continues where it stopped: {setupAWS}",
    ),
}
# Words of the message of a code that stands for several failures -> symptom.
_MESSAGES = {
    "draining": "service draining",
    "cannot be assumed": "role not ready",
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
_SAME_AS = {
    "ExpiredTokenException": "ExpiredToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "AuthFailure": "InvalidClientTokenId",
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


def failure(symptom: str, **values: object) -> ExplainedError:
    """Return the error for a failure that is found without an error of boto3."""
    return {**CODES, **FAILURES}[symptom].fill(symptom, **values).error()


def explain(error: Exception) -> ExplainedError | None:
    """Return the two lines for an error of boto3; None for one that is not AWS's, hence a bug."""
    if isinstance(error, ExplainedError):
        return error
    if isinstance(error, boto3.exceptions.Boto3Error):
        # boto3's transfers wrap the error of botocore.
        error = error.__context__ if isinstance(error.__context__, Exception) else error
    if isinstance(error, ClientError):
        return _explain_code(error)
    return _explain_connection(error)


def summary(error: Exception) -> str:
    """Return what an error of boto3 means, in one sentence."""
    explained = explain(error)
    return explained.what if explained else str(error)


def code_of(error: ClientError) -> str:
    """Return the error code, in one spelling of those that AWS has for a cause."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return _SAME_AS.get(code, code)


def message_of(error: ClientError) -> str:
    """Return AWS's message as a sentence."""
    message = str(error.response.get("Error", {}).get("Message", "")).rstrip(".") + "."
    # EC2 adds a blob of some thousand letters that only an administrator could decode.
    return message.split(" Encoded authorization failure message", 1)[0]


def symptom(error: ClientError) -> str:
    """Return which failure an error is whose code stands for several, "" for one not known."""
    return classify(message_of(error), _MESSAGES)


def is_passing(error: BotoCoreError | ClientError) -> bool:
    """Tell whether the same request may succeed later: no network, throttling, a fault of AWS."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or code_of(error) in _THROTTLED
    return isinstance(error, botocore_errors.HTTPClientError | botocore_errors.IncompleteReadError)


def _explain_code(error: ClientError) -> ExplainedError:
    code = code_of(error)
    detail: Any = error.response.get("Error", {})
    values = {
        "operation": error.operation_name,
        "message": message_of(error),
        "permission": permission(error),
        "code": detail.get("Code", "no code"),
        "bucket": detail.get("BucketName", "NAME"),
        "setting": "its name",
        "region": "REGION",
    }
    return CODES.get(code, CODES[""]).fill(code, **values).error()


def permission(error: ClientError) -> str:
    """Return the permission that a refused call lacks, as policies name it: 'sqs:SendMessage'.

    It is taken from AWS's message, with the resource, or else from the name of the call.
    """
    named = _NOT_AUTHORIZED.search(message_of(error))
    if named:
        action, resource = named.groups()
        return f"{action} on {resource.rstrip('.')}" if resource else action.rstrip(".")
    operation = error.operation_name
    metadata: Any = error.response.get("ResponseMetadata", {})
    prefix = metadata.get(SERVICE)
    if not prefix:
        return f"for {operation}"
    return f"{_IAM_SERVICES.get(prefix, prefix)}:{_IAM_ACTIONS.get(operation, operation)}"


# Kinds of errors of botocore -> reason; the first that fits counts.
_CONNECTIONS: tuple[tuple[type[Exception], Reason], ...] = (
    (botocore_errors.NoCredentialsError, _NO_CREDENTIALS),
    (botocore_errors.PartialCredentialsError, _NO_CREDENTIALS),
    (botocore_errors.ProfileNotFound, _NO_PROFILE),
    (botocore_errors.SSOError, _INVALID_LOGIN),
    (botocore_errors.TokenRetrievalError, _INVALID_LOGIN),
    (botocore_errors.CredentialRetrievalError, _INVALID_LOGIN),
    (botocore_errors.HTTPClientError, _UNREACHABLE),
    (botocore_errors.ConnectionError, _UNREACHABLE),
    (BotoCoreError, _NOT_SENT),
)


def _explain_connection(error: Exception) -> ExplainedError | None:
    for kind, reason in _CONNECTIONS:
        if isinstance(error, kind):
            address = getattr(error, "kwargs", {}).get("endpoint_url") or "AWS"
            message = type(error).__name__ if reason is _UNREACHABLE else error
            return reason.fill("", address=address, message=message).error()
    return None
