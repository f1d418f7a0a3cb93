"""Mounts SOURCE_BUCKET by s3fs; run-worker.sh starts it before the worker.

s3fs may report success and mount nothing, and a program that writes to a mount that is not there
writes to the container's own disk. So what can be known before is asked first, with the same
credentials, and the mount is looked at afterwards; else the container ends, and takes no job.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, Sequence

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from plumbing import settings as environment
from plumbing.console import say
from plumbing.machine import MOUNT
from plumbing.metadata import Metadata

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

FAILED = 1
FUSE = Path("/dev/fuse")
# CAP_SYS_ADMIN: linux/capability.h.
_SYS_ADMIN = 21
_ECS = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
_MOUNT_SECONDS = 30.0
_POLL_SECONDS = 0.05


class NotMounted(Exception):
    """The bucket cannot be mounted; the text says why, and what to do."""


def main() -> None:
    """Mount SOURCE_BUCKET at /home/ubuntu/bucket; exits with 1 and a sentence if that fails."""
    try:
        settings = environment.read(os.environ)
        bucket = settings.source_bucket
        _mount(os.environ, bucket, settings.region, MOUNT)
    except environment.SettingsError as error:
        say(f"Error: {error}")
        sys.exit(2)
    except NotMounted as error:
        say(f"Error: {bucket} is not mounted at {MOUNT}, so no job is taken: {error}")
        sys.exit(FAILED)
    say(f"mounted {bucket} at {MOUNT}")


def _mount(environ: Mapping[str, str], bucket: str, region: str, folder: Path) -> None:
    if os.path.ismount(folder):
        # By whoever started the container.
        return
    _need_rights()
    session = boto3.Session(region_name=region)
    credentials = session.get_credentials()
    if credentials is None:
        raise NotMounted(no_credentials(Metadata(environ).trouble))
    config = Config(retries={"mode": "standard", "total_max_attempts": 5})
    s3 = session.client("s3", config=config)
    _look_into(s3, bucket)
    options, variables = of_credentials(credentials, environ)
    user = environ.get("WORKER_USER") or "root"
    arguments = command(bucket, folder, s3.meta.endpoint_url, region, environ)
    folder.mkdir(parents=True, exist_ok=True)
    _start([*arguments, *options, *owned_by(user)], {**environ, **variables}, folder)


def no_credentials(trouble: str) -> str:
    """Why there are none, with what is wrong with the instance metadata."""
    return (
        "there are no credentials. ECS gives those of TASK_ROLE_ARN, the task role, in a task; "
        f"elsewhere on EC2 the machine's role gives them, but {trouble or 'it has no role'}."
    )


def _need_rights() -> None:
    """Raises NotMounted where s3fs would fail without a word that helps."""
    setup = "`setup` asks for it in the task definition when DOWNLOAD_FILES is False; by hand: "
    if shutil.which("s3fs") is None:
        raise NotMounted("s3fs is not in the image: the Dockerfile lacks its section MOUNT S3.")
    if os.geteuid() != 0:
        raise NotMounted("only root may mount: let the container start as root, without --user.")
    if not FUSE.exists():
        raise NotMounted(f"the container has no {FUSE}. {setup}--device /dev/fuse.")
    if not has_capability(Path("/proc/self/status").read_text(), _SYS_ADMIN):
        raise NotMounted(f"the container may not mount. {setup}--cap-add SYS_ADMIN.")


def has_capability(status: str, number: int) -> bool:
    """Whether /proc/PID/status tells of this effective capability: proc(5)."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> number & 1)
    return False


def _look_into(s3: S3Client, bucket: str) -> None:
    try:
        s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except (ClientError, BotoCoreError) as error:
        raise NotMounted(f"S3 does not list it: {error}") from None


def of_credentials(
    credentials: Credentials, environ: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Options and variables by which s3fs gets the same credentials, and new ones in time.

    s3fs looks for a role that is not named without an IMDSv2 token, and where that is required
    it mounts nothing, silently. So the role is named.
    """
    # By a full URI, which s3fs does not know, only a program that plays ECS gives them.
    if credentials.method == "container-role" and environ.get(_ECS):
        return ["-o", "ecs"], {}
    if credentials.method == "iam-role":
        metadata = Metadata(environ)
        role = metadata.role()
        if not role:
            raise NotMounted(f"the machine's role has no name: {metadata.trouble or 'it is gone'}.")
        return ["-o", f"iam_role={role}"], {}
    key = credentials.get_frozen_credentials()
    access, secret, token = key.access_key or "", key.secret_key or "", key.token or ""
    variables = {"AWSACCESSKEYID": access, "AWSSECRETACCESSKEY": secret}
    # The names that AWS uses are known to s3fs since 1.90.
    variables.update(AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret)
    if token:
        variables.update(AWSSESSIONTOKEN=token, AWS_SESSION_TOKEN=token)
    return [], variables


def command(
    bucket: str, folder: Path, endpoint: str, region: str, environ: Mapping[str, str]
) -> list[str]:
    """How s3fs is called, for reading only."""
    options = ["ro", "allow_other", f"url={endpoint}", f"endpoint={region}"]
    # A certificate of S3 does not hold for a name with dots before it.
    if "." in bucket or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"):
        options.append("use_path_request_style")
    # -f: s3fs stays in the foreground, so that what it has to say is in the container's log.
    return ["s3fs", bucket, str(folder), "-f", *(f"-o{option}" for option in options)]


def owned_by(user: str) -> list[str]:
    """Let files be this user's: what has no owner of its own is else readable by root only."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise NotMounted(f"WORKER_USER = {user!r} is no user of this image.") from None
    return [f"-ouid={entry.pw_uid}", f"-ogid={entry.pw_gid}"]


def _start(arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
    """Start s3fs, which goes on when this process has ended; returns when the mount is there."""
    s3fs = subprocess.Popen(
        arguments, env=dict(environ), stdin=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + _MOUNT_SECONDS
    while not os.path.ismount(folder):
        if s3fs.poll() is not None:
            raise NotMounted(
                f"s3fs ended with exit code {s3fs.returncode}, after what it says above."
            )
        if time.monotonic() >= deadline:
            s3fs.kill()
            raise NotMounted(f"s3fs has not mounted it within {_MOUNT_SECONDS:.0f} s.")
        time.sleep(_POLL_SECONDS)
    try:
        os.listdir(folder)
    except OSError as error:
        s3fs.kill()
        raise NotMounted(f"it cannot be listed through the mount: {error}") from None
    # It is not waited for: the worker, process 1 from then on, is to hear of its end.
    s3fs.returncode = 0


if __name__ == "__main__":
    main()
