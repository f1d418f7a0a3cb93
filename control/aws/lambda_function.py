"""Lambda: the function of the auto-monitor."""

from __future__ import annotations

import base64
import hashlib
import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from control.aws import tags
from control.aws.cloudwatch_logs import RETENTION_DAYS
from control.aws.waiting import Wait, until_accepted
from control.explain import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

NAME = "DistributedSomethingMonitor"
LOG_GROUP = f"/aws/lambda/{NAME}"
# It runs only those modules of control/ that need no more than boto3 and the standard library.
_HANDLER = "control.monitoring.auto_monitor.handler"
_SETTINGS: dict[str, Any] = {
    "Runtime": "python3.12",
    "Handler": _HANDLER,
    # A step takes seconds; to take a thousand machines out of the cluster one by one, minutes.
    "Timeout": 300,
    # Lambda gives CPU by memory: with less, importing boto3 alone takes seconds.
    "MemorySize": 512,
}
# IAM is eventually consistent: a role that was just made cannot be assumed for some seconds.
_ROLE_SECONDS = 60
_CONTROL = Path(__file__).resolve().parents[1]
_SAME_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip file can hold


def zipped(folder: Path = _CONTROL) -> bytes:
    """Return control/ as a zip file: the same bytes wherever it is made from the same files."""
    content = io.BytesIO()
    # Stored, not deflated: what deflating gives differs between builds of zlib.
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder.parent).as_posix()
            entry = zipfile.ZipInfo(name, _SAME_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return content.getvalue()


def digest(code: bytes) -> str:
    """Return the CodeSha256 that Lambda has for this code."""
    return base64.b64encode(hashlib.sha256(code).digest()).decode()


def ensure(functions: Any, role_arn: str, code: bytes, wait: Wait = time.sleep) -> str:
    """Make or update the function; return what was done."""
    known = _describe(functions)
    if known is None:
        _create(functions, role_arn, code, wait)
        done = "made"
    else:
        _wait_until_updated(functions)
        done = "already there"
        if known["CodeSha256"] != digest(code):
            functions.update_function_code(FunctionName=NAME, ZipFile=code)
            _wait_until_updated(functions)
            done = "updated"
        wanted = {**_SETTINGS, "Role": role_arn}
        if any(known.get(name) != value for name, value in wanted.items()):
            functions.update_function_configuration(FunctionName=NAME, **wanted)
            done = "updated"
    # A failed call is not repeated: that of the next minute does the same.
    functions.put_function_event_invoke_config(FunctionName=NAME, MaximumRetryAttempts=0)
    return done


def arn(functions: Any, code: bytes) -> tuple[str, bool]:
    """Return (its ARN, whether it runs this code). Raise ExplainedError if it does not exist."""
    known = _describe(functions)
    if known is None:
        raise aws_errors.failure("no auto-monitor")
    return known["FunctionArn"], known["CodeSha256"] == digest(code)


def ensure_log_group(logs: CloudWatchLogsClient) -> None:
    """Make its log group, which keeps two months; Lambda itself would keep all forever."""
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=LOG_GROUP, tags={tags.APP_TAG: "setupAWS"})
    logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=RETENTION_DAYS)


def delete(functions: Any, logs: CloudWatchLogsClient) -> Iterator[str]:
    """Delete the function and its log if they exist; yield what was deleted."""
    with suppress(functions.exceptions.ResourceNotFoundException):
        functions.delete_function(FunctionName=NAME)
        yield f"removed: function {NAME}"
    with suppress(logs.exceptions.ResourceNotFoundException):
        logs.delete_log_group(logGroupName=LOG_GROUP)
        yield f"removed: log group {LOG_GROUP}"


def _describe(functions: Any) -> Any:
    try:
        return functions.get_function_configuration(FunctionName=NAME)
    except functions.exceptions.ResourceNotFoundException:
        return None


def _create(functions: Any, role_arn: str, code: bytes, wait: Wait) -> None:
    wanted: dict[str, Any] = {
        "FunctionName": NAME,
        "Description": "Watches the runs of Distributed-Something and ends them.",
        "Role": role_arn,
        "Code": {"ZipFile": code},
        "Tags": {tags.APP_TAG: "setupAWS"},
        **_SETTINGS,
    }
    until_accepted(
        lambda: functions.create_function(**wanted),
        lambda error: aws_errors.symptom(error) == "role not ready",
        wait,
        _ROLE_SECONDS,
    )
    _wait_until(functions, "function_active_v2")


def _wait_until_updated(functions: Any) -> None:
    """Wait: Lambda refuses a change during another."""
    _wait_until(functions, "function_updated_v2")


def _wait_until(functions: Any, state: str) -> None:
    try:
        functions.get_waiter(state).wait(FunctionName=NAME)
    except WaiterError as error:
        if "Error" not in error.last_response:
            raise
        # The refusal itself, explained like any other; both waiters send this request.
        raise ClientError(error.last_response, "GetFunction") from error
