"""The session: clients, region, and whose credentials these are."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config as ClientConfig

from control.errors import UserError
from control.explain import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

    from control.config import Config

# As many connections as submitJob has threads, so that none waits for another.
CONNECTIONS = 32
_RETRIES = ClientConfig(
    retries={"mode": "standard", "total_max_attempts": 6},
    max_pool_connections=CONNECTIONS,
    connect_timeout=10,
    read_timeout=60,
)
# The first call of every verb: a typo or a missing network shows within seconds.
_ASK_ONCE = ClientConfig(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=10)
_UNNAMED_SESSION = re.compile(r"/(botocore-session|aws-cli-botocore|AWSCLI-Session)[-\d]*$")


class AWS:
    """The clients of one session, each made when first used.

    `is_local`: they lead to the AWS on this computer, where nothing is charged.
    """

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self.is_local = leads_here()
        session.events.register("after-call", _name_service)

    @cached_property
    def sqs(self) -> SQSClient:
        """SQS without botocore's own check of parameters: it costs more than sending them."""
        config = _RETRIES.merge(ClientConfig(parameter_validation=False))
        return self.session.client("sqs", config=config)

    @cached_property
    def s3(self) -> S3Client:
        return self.session.client("s3", config=_RETRIES)

    @cached_property
    def ec2(self) -> EC2Client:
        return self.session.client("ec2", config=_RETRIES)

    @cached_property
    def ecs(self) -> ECSClient:
        return self.session.client("ecs", config=_RETRIES)

    @cached_property
    def iam(self) -> IAMClient:
        return self.session.client("iam", config=_RETRIES)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return self.session.client("logs", config=_RETRIES)

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return self.session.client("cloudwatch", config=_RETRIES)

    @cached_property
    def ssm(self) -> SSMClient:
        return self.session.client("ssm", config=_RETRIES)

    @cached_property
    def sns(self) -> SNSClient:
        return self.session.client("sns", config=_RETRIES)

    @cached_property
    def functions(self) -> Any:
        return self.session.client("lambda", config=_RETRIES)

    @cached_property
    def scheduler(self) -> Any:
        return self.session.client("scheduler", config=_RETRIES)

    @cached_property
    def quotas(self) -> Any:
        return self.session.client("service-quotas", config=_RETRIES)

    def ecr(self, region: str) -> Any:
        """Return the client for ECR in the region of an image's name."""
        return self.session.client("ecr", region_name=region, config=_RETRIES)

    @cached_property
    def sts(self) -> STSClient:
        return self.session.client("sts", config=_ASK_ONCE)


def _name_service(parsed: dict[str, Any], model: Any, **_: object) -> None:
    """botocore's errors name the operation alone; the permission for it has the service's name."""
    service = model.service_model.signing_name
    parsed.setdefault("ResponseMetadata", {})[aws_errors.SERVICE] = service


@dataclass(frozen=True)
class Identity:
    """The owner of the credentials: account number and ARN."""

    account: str
    arn: str


def connect(config: Config) -> AWS:
    """Return the clients for this config. Raise UserError for an unknown region."""
    session = boto3.Session(profile_name=config.AWS_PROFILE, region_name=config.AWS_REGION)
    known = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("sqs", partition_name=partition)
    ]
    if config.AWS_REGION not in known:
        close = difflib.get_close_matches(config.AWS_REGION, known)
        close.sort(key=lambda region: _unlikeness(region, config.AWS_REGION))
        raise UserError(
            f"{config.path}: AWS_REGION = '{config.AWS_REGION}' is not a region of AWS.",
            f"Did you mean '{close[0]}'?"
            if close
            else "Write one such as 'us-east-1'; if it is new: pip install --upgrade boto3",
        )
    return AWS(session)


def _unlikeness(region: str, typed: str) -> tuple[bool, int]:
    """Among regions as close as each other: us-esat-1 has the letters of us-east-1 and not of
    us-west-1, and us-est-1 begins as the former does."""
    return sorted(region) != sorted(typed), -len(os.path.commonprefix([region, typed]))


def caller_identity(sts: STSClient) -> Identity:
    """Return the owner of the credentials. The first call of a verb: it fails fast."""
    answer = sts.get_caller_identity()
    # Without a name for the session, a role would be another owner each hour.
    arn = _UNNAMED_SESSION.sub("", answer["Arn"])
    return Identity(account=answer["Account"], arn=arn)


# In the environment: commands go to the AWS on this computer.
LOCAL_MARK = "EMBEDDED_AWS"


def leads_here() -> bool:
    """Return whether commands typed here go to the AWS on this computer (`local --serve`)."""
    return os.environ.get(LOCAL_MARK) == "1"
