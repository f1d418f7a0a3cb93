#!/usr/bin/env bash
# The container's entrypoint: mounts the bucket (DOWNLOAD_FILES = False), then becomes the worker.
set -euo pipefail
# A process 1 without a handler does not get SIGTERM.
trap 'exit 0' TERM

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# The worker's own Python. -E -s: PYTHONPATH and the like are your program's. -u: no buffering.
python=("${WORKER_PYTHON:-/opt/distributed-something/bin/python}" -E -s -u)

# MOUNT S3: only with DOWNLOAD_FILES = False. If you never mount, remove this section and the one
# of the same name in the Dockerfile.
if [[ "${DOWNLOAD_FILES:-True}" == [Ff]alse ]]; then
    # If that fails, it prints why and the container ends: it accepts no jobs.
    (cd "$here" && exec "${python[@]}" -m plumbing.mount)
fi
# END OF MOUNT S3

# Jobs do not run as root, nor may they mount; for a program that must, set `ENV WORKER_USER=root`
# in the Dockerfile.
if [[ "$(id -u)" == 0 && "${WORKER_USER:-root}" != root ]]; then
    if ! id "$WORKER_USER" >/dev/null 2>&1; then
        echo "Error: WORKER_USER = '$WORKER_USER' is not a user of this image."
        exit 2
    fi
    mkdir -p "${WORK_FOLDER:=$here/work}"
    chown "$WORKER_USER" "$WORK_FOLDER"
    HOME="$(getent passwd "$WORKER_USER" | cut -d: -f6)"
    export HOME WORK_FOLDER USER="$WORKER_USER" LOGNAME="$WORKER_USER"
    # In Python, since not every distribution has setpriv. Signals to stop wait meanwhile.
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
