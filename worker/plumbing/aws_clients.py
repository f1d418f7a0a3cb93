"""The clients of one worker. Everything else gets them as arguments."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# What a call to AWS may raise.
AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
# Threads that transfer files share one client.
CONNECTIONS = 16
# For many files so small that more time goes by in waiting than in sending.
QUICK_CONNECTIONS = 32
CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
SECONDS_OF_A_REQUEST = CONNECT_SECONDS + ANSWER_SECONDS
# The longest long poll, and what its answer may take on the way.
_POLL_SECONDS = 20 + 10
# SQS answers within milliseconds, or is better asked again: an extension may be what waits.
_SOON_SECONDS = 5
_ATTEMPTS = 3
USER_AGENT = f"distributed-something-worker Boto3/{boto3.__version__}"
_SETUP_CODES = {
    "403",
    "AccessDenied",
    "AllAccessDisabled",
    "InvalidAccessKeyId",
    "NoSuchBucket",
    "SignatureDoesNotMatch",
}


@dataclass(frozen=True)
class Clients:
    """`receiver` waits for messages, `sqs` answers soon, `s3` transfers.

    `s3_of_jobs` is for the processes that jobs run in: the worker never uses it, so that no
    connection of it is open when it is forked.
    """

    receiver: SQSClient
    sqs: SQSClient
    s3: S3Client
    s3_of_jobs: S3Client


def make_session(region: str) -> boto3.Session:
    """A session that has read botocore's descriptions of SQS and S3.

    Made before the workers are forked: reading takes ten times as long as making a client, and
    what has been read is shared by all of them. It holds no client, connection or thread.
    """
    core = botocore.session.get_session()
    loader = core.get_component("data_loader")
    for service in ("sqs", "s3"):
        for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
            loader.load_service_model(service, kind)
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
    return boto3.Session(botocore_session=core, region_name=region)


def make_clients(session: boto3.Session) -> Clients:
    """The clients of one worker process."""
    return Clients(
        # Not repeated: a stop waits for a poll that is under way.
        receiver=session.client("sqs", config=_config(_POLL_SECONDS, attempts=1)),
        # None of these is repeated by botocore: a worker that was paused for longer than its lease
        # must be asked before each request that leaves a trace. `persistently` repeats them.
        sqs=session.client("sqs", config=_config(_SOON_SECONDS, attempts=1)),
        s3=_sending_at_once(
            _presigning_by_version_4(
                session.client("s3", config=_config(ANSWER_SECONDS, attempts=1))
            )
        ),
        s3_of_jobs=session.client("s3", config=_config(ANSWER_SECONDS)),
    )


def _sending_at_once(s3: S3Client) -> S3Client:
    """The same client: what is in memory follows its head without waiting for S3's leave.

    botocore asks for it (Expect: 100-continue) before every body, however small: one way to S3 and
    back, and its answer is read byte by byte. It is worth that for a large file only.
    """
    # Not for PutObject alone: what is registered for one operation is called before botocore's own.
    s3.meta.events.register_last("before-call.s3", _expect_nothing)
    return s3


def _expect_nothing(model: Any, params: Mapping[str, Any], **_: Any) -> None:
    if model.name == "PutObject" and isinstance(params["body"], io.BytesIO):
        params["headers"].pop("Expect", None)


def _presigning_by_version_4(s3: S3Client) -> S3Client:
    """The same client: its presigned URLs are of Signature Version 4 in all regions.

    botocore's own choice is version 2 in old regions, which S3 does not take everywhere. Not by
    `signature_version` in the configuration: that also replaces what directory buckets and
    multi-region access points are signed by.
    """
    s3.meta.events.register_first("choose-signer.s3", _version_4)
    return s3


def _version_4(signature_version: str, **_: Any) -> Any:
    return "s3v4-query" if signature_version in ("v4-query", "s3v4-query") else None


def _config(read_seconds: float, attempts: int = _ATTEMPTS) -> Config:
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=QUICK_CONNECTIONS,
        tcp_keepalive=True,
        # botocore's own is put together anew for each request, a tenth of what one costs.
        user_agent=USER_AGENT,
    )


def is_setup_fault(error: BaseException) -> bool:
    """Whether every job here would get this error: a permission or a bucket is missing."""
    return isinstance(error, NoCredentialsError) or code_of(error) in _SETUP_CODES


def code_of(error: BaseException) -> str:
    """AWS's code of an error, "" if it is not an answer of AWS."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def status_of(error: BaseException) -> int:
    """The HTTP status of an error, 0 if it is not an answer of AWS."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
