"""Mount SOURCE_BUCKET with s3fs; run-worker.sh starts this before the worker.

s3fs may report success and mount nothing, and a program that writes to a missing mount writes to
the container's own disk. So known problems are checked first, with the same credentials, and the
mount afterward; otherwise the container ends and accepts no jobs.
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

from plumbing.console import say
from plumbing.machine import MOUNT
from plumbing.metadata import Metadata
from plumbing.settings import SettingsError, read_settings

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
    """The bucket cannot be mounted; the text is why, and what to do."""


def main() -> None:
    """Mount SOURCE_BUCKET at /home/ubuntu/bucket; exit with 1 and a sentence if that fails."""
    try:
        settings = read_settings(os.environ)
        bucket = settings.source_bucket
        _mount(os.environ, bucket, settings.region, MOUNT)
    except SettingsError as error:
        say(f"Error: {error}")
        sys.exit(2)
    except NotMounted as error:
        say(f"Error: {bucket} is not mounted at {MOUNT}, so the container accepts no jobs: {error}")
        sys.exit(FAILED)
    say(f"mounted {bucket} at {MOUNT}")


def _mount(environ: Mapping[str, str], bucket: str, region: str, folder: Path) -> None:
    if os.path.ismount(folder):
        # Mounted from outside the container.
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
    """Return why there are none, with what is wrong with the instance metadata."""
    return (
        "there are no credentials. In a task ECS gives those of TASK_ROLE_ARN, the task role; "
        f"elsewhere on EC2 the machine's role gives them, but {trouble or 'it has no role'}."
    )


def _need_rights() -> None:
    """Raise NotMounted where s3fs would fail without a helpful message."""
    setup = "`setup` puts it into the task definition when DOWNLOAD_FILES is False; by hand: "
    if shutil.which("s3fs") is None:
        raise NotMounted("s3fs is not in the image: the Dockerfile lacks its section MOUNT S3.")
    if os.geteuid() != 0:
        raise NotMounted("only root may mount: let the container start as root, without --user.")
    if not FUSE.exists():
        raise NotMounted(f"the container has no {FUSE}. {setup}--device /dev/fuse.")
    if not has_capability(Path("/proc/self/status").read_text(), _SYS_ADMIN):
        raise NotMounted(f"the container may not mount. {setup}--cap-add SYS_ADMIN.")


def has_capability(status: str, number: int) -> bool:
    """Return whether /proc/PID/status has this effective capability: proc(5)."""
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
    """Return options and variables that give s3fs the same credentials, and new ones in time.

    s3fs looks up an unnamed role without an IMDSv2 token, and where IMDSv2 is required it silently
    mounts nothing. So the role is named.
    """
    # s3fs does not know a full URI, but only programs that imitate ECS use one.
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
    # s3fs knows AWS's own names since 1.90.
    variables.update(AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret)
    if token:
        variables.update(AWSSESSIONTOKEN=token, AWS_SESSION_TOKEN=token)
    return [], variables


def command(
    bucket: str, folder: Path, endpoint: str, region: str, environ: Mapping[str, str]
) -> list[str]:
    """Return the command of s3fs, for reading only."""
    options = ["ro", "allow_other", f"url={endpoint}", f"endpoint={region}"]
    # A certificate of S3 is not valid for a bucket name with dots.
    if "." in bucket or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"):
        options.append("use_path_request_style")
    # -f: s3fs stays in the foreground, so that its messages are in the container's log.
    return ["s3fs", bucket, str(folder), "-f", *(f"-o{option}" for option in options)]


def owned_by(user: str) -> list[str]:
    """Return options that make the files this user's: otherwise only root can read them."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise NotMounted(f"WORKER_USER = {user!r} is not a user of this image.") from None
    return [f"-ouid={entry.pw_uid}", f"-ogid={entry.pw_gid}"]


def _start(arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
    """Start s3fs, which outlives this process; return when the mount is there."""
    s3fs = subprocess.Popen(
        arguments, env=dict(environ), stdin=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + _MOUNT_SECONDS
    while not os.path.ismount(folder):
        if s3fs.poll() is not None:
            raise NotMounted(
                f"s3fs ended with exit code {s3fs.returncode}; its messages are above."
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
    # Nobody waits for it here: the worker, the next process 1, gets the signal of its end.
    s3fs.returncode = 0


if __name__ == "__main__":
    main()
