"""Check credentials, buckets and roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from control.aws import iam
from control.aws.s3 import region_of
from control.checks.findings import Finding, Subject, failed, passed, unknown, warned
from control.explain import aws_errors
from control.records import store
from control.user_files import container_environment

if TYPE_CHECKING:
    from control.aws.session import AWS

_BUCKETS = ("AWS_BUCKET", "SOURCE_BUCKET", "WORKSPACE_BUCKET", "DESTINATION_BUCKET")
_NO_SUCH_ETAG = '"00000000000000000000000000000000"'


def config(subject: Subject) -> Iterator[Finding]:
    """Compare config.py, which was read, with the settings of the run."""
    changes = (
        container_environment.changes(subject.run.config, subject.config)
        if subject.run and not subject.run.ended
        else []
    )
    if changes:
        yield warned("config", "settings changed", changes="; ".join(changes))
    else:
        yield passed("config", f"{subject.config.path.name} of {subject.config.APP_NAME} is valid")
    if subject.no_run:
        yield unknown("config", subject.no_run)


def credentials(subject: Subject) -> Iterator[Finding]:
    """Compare the account of this login with the run's."""
    who, run = subject.identity, subject.run
    if who is None:
        yield unknown("credentials", "whose login this is")
        return
    if run and not run.ended and run.account != who.account:
        yield failed("credentials", "other account", account=who.account, run_account=run.account)
        return
    region = subject.config.AWS_REGION
    yield passed("credentials", f"{who.arn} in account {who.account}, {region}")


def buckets(subject: Subject) -> Iterator[Finding]:
    """Check that each bucket exists, in this region, and can be read, and AWS_BUCKET written."""
    config = subject.config
    seen: set[str] = set()
    for setting in _BUCKETS:
        bucket: str = getattr(config, setting)
        if bucket not in seen:
            seen.add(bucket)
            yield from _bucket(subject, setting, bucket)


def _bucket(subject: Subject, setting: str, bucket: str) -> Iterator[Finding]:
    config = subject.config
    words = {"setting": setting, "bucket": bucket, "region": config.AWS_REGION}
    there, status = region_of(subject.aws.s3, bucket)
    if status == 404:
        yield failed("buckets", "no bucket", **words)
        return
    if there and there != config.AWS_REGION:
        yield warned("buckets", "bucket elsewhere", there=there, **words)
    if setting == "AWS_BUCKET":
        yield from _own_bucket(subject, words)
    elif _may_list(subject.aws, bucket, ""):
        yield passed("buckets", f"{setting}: {bucket} exists and can be listed")
    else:
        # Jobs use it with the containers' role, which this login cannot try.
        why = f"{setting}: {bucket} exists; what the containers' role may do in it"
        yield unknown("buckets", why)


def _own_bucket(subject: Subject, words: dict[str, str]) -> Iterator[Finding]:
    """Check AWS_BUCKET, in which runs/ is read and written with this login."""
    bucket, prefix = words["bucket"], f"runs/{subject.config.APP_NAME}/"
    refused = []
    if not _may_list(subject.aws, bucket, prefix):
        refused.append("bucket refused")
    if not _may_write(subject.aws, bucket, prefix):
        refused.append("bucket not written")
    yield from (failed("buckets", found, prefix=prefix, **words) for found in refused)
    if not refused:
        yield passed("buckets", f"AWS_BUCKET: {bucket} exists and can be read and written")


def _may_list(aws: AWS, bucket: str, prefix: str) -> bool:
    return not _refused(lambda: aws.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1))


def _may_write(aws: AWS, bucket: str, prefix: str) -> bool:
    """Tell whether objects may be written, without writing one: S3 checks the permission first, and
    then finds no object to replace (API reference of PutObject, If-Match)."""
    return not _refused(
        lambda: aws.s3.put_object(
            Bucket=bucket, Key=f"{prefix}check", Body=b"", IfMatch=_NO_SUCH_ETAG
        )
    )


def _refused(call: Any) -> bool:
    """Tell whether a call lacks a permission; it may fail because of its arguments."""
    try:
        call()
    except ClientError as error:
        code = aws_errors.code_of(error)
        if code == "AccessDenied":
            return True
        if code not in ("NoSuchKey", "PreconditionFailed", "404", "412"):
            raise
    return False


def the_roles(subject: Subject) -> Iterator[Finding]:
    """Check the roles of fleet and containers, and the machines' instance profile."""
    file, config = subject.file, subject.config
    yield from _role(subject, "IamFleetRole", file.iam_fleet_role or iam.FLEET_ROLE, "spotfleet")
    task_role = config.TASK_ROLE_ARN or iam.TASK_ROLE
    yield from _role(subject, "TASK_ROLE_ARN", task_role, "ecs-tasks")
    if config.EXECUTION_ROLE_ARN or not config.TASK_ROLE_ARN:
        execution_role = config.EXECUTION_ROLE_ARN or iam.EXECUTION_ROLE
        yield from _role(subject, "EXECUTION_ROLE_ARN", execution_role, "ecs-tasks")
    yield from _profile(subject, file.iam_instance_profile or iam.INSTANCE_ROLE)


def _role(subject: Subject, setting: str, given: str, service: str) -> Iterator[Finding]:
    name = given.rsplit("/", 1)[-1]
    if ":instance-profile/" in given:
        words = {"setting": setting, "arn": given}
        words |= {"kind": "an instance profile", "wanted": "role"}
        yield failed("roles", "role for profile", **words)
        return
    try:
        role: Any = subject.aws.iam.get_role(RoleName=name)["Role"]
    except subject.aws.iam.exceptions.NoSuchEntityException:
        yield failed("roles", "no role", kind="role", name=name)
        return
    if f"{service}.amazonaws.com" not in str(role["AssumeRolePolicyDocument"]):
        yield failed("roles", "not trusted", name=name, service=f"{service}.amazonaws.com")
        return
    yield passed("roles", f"role {name} exists")


def _profile(subject: Subject, given: str) -> Iterator[Finding]:
    name = given.rsplit("/", 1)[-1]
    if ":role/" in given:
        words = {"setting": "IamInstanceProfile", "arn": given}
        words |= {"kind": "a role", "wanted": "instance profile"}
        yield failed("roles", "role for profile", **words)
        return
    try:
        profile = subject.aws.iam.get_instance_profile(InstanceProfileName=name)
    except subject.aws.iam.exceptions.NoSuchEntityException:
        yield failed("roles", "no role", kind="instance profile", name=name)
        return
    if not profile["InstanceProfile"]["Roles"]:
        yield failed("roles", "empty profile", name=name)
        return
    yield passed("roles", f"instance profile {name} exists")


def find_run(subject: Subject) -> None:
    """Set the subject's run, the newest of this app; or else why it cannot be read."""
    config = subject.config
    try:
        subject.run = store.current(subject.aws.s3, config.AWS_BUCKET, config.APP_NAME)
    except (ClientError, BotoCoreError) as error:
        why = aws_errors.summary(error)
        subject.no_run = f"the records of the newest run cannot be read: {why}"
