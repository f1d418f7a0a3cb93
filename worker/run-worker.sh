#!/usr/bin/env bash
# The container's entrypoint: mounts the bucket if asked to, then becomes the worker.
set -euo pipefail
# A process 1 that has no handler is not told of SIGTERM.
trap 'exit 0' TERM

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# The worker's own Python. -E -s: PYTHONPATH and the like are your program's. -u: lines come at once.
python=("${WORKER_PYTHON:-/opt/distributed-something/bin/python}" -E -s -u)

# MOUNT S3: only with DOWNLOAD_FILES = False. If you never mount, remove this section and the one
# of the same name in the Dockerfile.
if [[ "${DOWNLOAD_FILES:-True}" == [Ff]alse ]]; then
    # What cannot be mounted is said, and ends the container: no job is taken.
    (cd "$here" && exec "${python[@]}" -m plumbing.mount)
fi
# END OF MOUNT S3

# Jobs have no rights of root, nor the one to mount; `ENV WORKER_USER=root` in the Dockerfile leaves
# them, for a program that must have them.
if [[ "$(id -u)" == 0 && "${WORKER_USER:-root}" != root ]]; then
    if ! id "$WORKER_USER" >/dev/null 2>&1; then
        echo "Error: WORKER_USER = '$WORKER_USER' is no user of this image."
        exit 2
    fi
    mkdir -p "${WORK_FOLDER:=$here/work}"
    chown "$WORKER_USER" "$WORK_FOLDER"
    HOME="$(getent passwd "$WORKER_USER" | cut -d: -f6)"
    export HOME WORK_FOLDER USER="$WORKER_USER" LOGNAME="$WORKER_USER"
    # By Python, since not every distribution has setpriv. What tells it to stop meanwhile waits.
    become='import os, pwd, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
user = pwd.getpwnam(sys.argv[1])
os.initgroups(user.pw_name, user.pw_gid)
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
os.execv(sys.argv[2], sys.argv[2:])'
    python=("${python[@]}" -c "$become" "$WORKER_USER" "${python[@]}")
fi

# exec: Python becomes process 1 and gets the signals that ECS and docker send.
exec "${python[@]}" "$here/plumbing" "$here/generic-worker.py"
