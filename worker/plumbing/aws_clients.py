"""The AWS clients of one worker. Everything else gets them as arguments."""

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

# All that a call to AWS may raise.
AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
# Threads that transfer files share one client.
CONNECTIONS = 16
# For many files so small that sending takes less time than waiting.
QUICK_CONNECTIONS = 32
CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
SECONDS_OF_A_REQUEST = CONNECT_SECONDS + ANSWER_SECONDS
# The longest long poll, and what its answer may take to arrive.
_POLL_SECONDS = 20 + 10
# SQS answers within milliseconds; otherwise a retry is better, since an extension may be waiting.
_SOON_SECONDS = 5
_ATTEMPTS = 3
USER_AGENT = f"distributed-something-worker Boto3/{boto3.__version__}"
_SETUP_CODES = {
    *("403", "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "NoSuchBucket"),
    "SignatureDoesNotMatch",
}


@dataclass(frozen=True)
class Clients:
    """The clients: `receiver` for long polls, `sqs` for the rest of SQS, `s3` for transfers.

    `s3_of_jobs` is for the processes that jobs run in: the worker never uses it, so that it has
    no open connection when it is forked.
    """

    receiver: SQSClient
    sqs: SQSClient
    s3: S3Client
    s3_of_jobs: S3Client


def make_session(region: str) -> boto3.Session:
    """Return a session that has read botocore's descriptions of SQS and S3.

    Made before the workers are forked: reading takes ten times as long as making a client, and
    all of them share what has been read. It holds no client, connection or thread.
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
    """Return the clients of one worker process."""
    return Clients(
        # Not retried: a stop waits for the current poll.
        receiver=session.client("sqs", config=_config(_POLL_SECONDS, attempts=1)),
        # botocore retries none of these: a worker that was paused for longer than its lease must
        # check it before each request that leaves a trace. `persistently` retries them.
        sqs=session.client("sqs", config=_config(_SOON_SECONDS, attempts=1)),
        s3=_sending_at_once(
            _presigning_by_version_4(
                session.client("s3", config=_config(ANSWER_SECONDS, attempts=1))
            )
        ),
        s3_of_jobs=session.client("s3", config=_config(ANSWER_SECONDS)),
    )


def _sending_at_once(s3: S3Client) -> S3Client:
    """Return the same client: a body in memory follows its head without waiting for S3.

    botocore waits (Expect: 100-continue) before every body, however small: one round trip, and it
    reads the answer byte by byte. Only a large file is worth that.
    """
    # Not for PutObject alone: a handler of one operation is called before botocore's own.
    s3.meta.events.register_last("before-call.s3", _expect_nothing)
    return s3


def _expect_nothing(model: Any, params: Mapping[str, Any], **_: Any) -> None:
    if model.name == "PutObject" and isinstance(params["body"], io.BytesIO):
        params["headers"].pop("Expect", None)


def _presigning_by_version_4(s3: S3Client) -> S3Client:
    """Return the same client: its presigned URLs have Signature Version 4 in all regions.

    botocore chooses version 2 in old regions, which S3 does not accept everywhere. Not by
    `signature_version` in the configuration: that also replaces the signatures of directory
    buckets and multi-region access points.
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
        # botocore builds its own for each request, a tenth of the cost of one.
        user_agent=USER_AGENT,
    )


def is_setup_fault(error: BaseException) -> bool:
    """Return whether every job here would get this error: no permission or no bucket."""
    return isinstance(error, NoCredentialsError) or code_of(error) in _SETUP_CODES


def code_of(error: BaseException) -> str:
    """Return AWS's code of an error, "" if AWS did not answer."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error, 0 if AWS did not answer."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
