#!/usr/bin/env bash
# The container's entrypoint: mounts the bucket if asked to, then becomes the worker.
set -euo pipefail

# MOUNT S3: only with DOWNLOAD_FILES = False. If you never mount, remove this section and the one
# of the same name in the Dockerfile.
if [[ "${DOWNLOAD_FILES:-True}" == [Ff]alse ]]; then
    mount_point=/home/ubuntu/bucket
    bucket="${SOURCE_BUCKET:-$AWS_BUCKET}"
    mkdir -p "$mount_point"
    if ! mountpoint -q "$mount_point"; then
        # -o ecs takes the task role's credentials, from the address that ECS gives the container.
        s3fs "$bucket" "$mount_point" -o ecs -o ro -o allow_other \
            -o "url=https://s3.$AWS_REGION.amazonaws.com" -o "endpoint=$AWS_REGION" || true
    fi
    # s3fs may report success without a mount, and jobs would then work on an empty folder.
    if ! mountpoint -q "$mount_point" || ! ls "$mount_point" >/dev/null; then
        echo "Error: $bucket could not be mounted at $mount_point, so no job is taken." >&2
        exit 1
    fi
    echo "mounted $bucket at $mount_point"
fi
# END OF MOUNT S3

# exec: Python becomes process 1 and gets the signals that ECS and docker send. Its path is that of
# the worker's own environment; PATH stays as your tool's image has it.
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
exec "${WORKER_PYTHON:-/opt/distributed-something/bin/python}" "$here/generic-worker.py"
