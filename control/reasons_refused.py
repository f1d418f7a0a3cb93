"""Why containers that run take no job: words of what their workers say -> sentence -> cure."""

from __future__ import annotations

from control.reasons import Reason

_TAKES_NONE = "the containers run, but take no job: {message}"
# The first that fits.
REFUSED: dict[str, Reason] = {
    "program not found": Reason(
        _TAKES_NONE,
        "Correct its name in worker/generic-worker.py, or install it in worker/Dockerfile; then: "
        "make -C worker push, setup, startCluster, and retry for the jobs that failed of it.",
        True,
    ),
    "no program that can be started": Reason(
        _TAKES_NONE,
        "Make it a program in worker/Dockerfile (chmod +x, a first line such as #!/bin/sh); then: "
        "make -C worker push, setup, startCluster, and retry for the jobs that failed of it.",
        True,
    ),
    "the disk is full": Reason(
        _TAKES_NONE,
        "Raise EBS_VOL_SIZE in config.py, or let the program write into job.temp_dir, which is "
        "emptied after each job; then: stop, setup, startCluster.",
        True,
    ),
    "the memory is full": Reason(
        _TAKES_NONE,
        "Lower TASKS_PER_MACHINE or DOCKER_CORES in config.py, or take larger types as "
        "MACHINE_TYPE; then: stop, setup, startCluster.",
        True,
    ),
    "is not mounted": Reason(
        _TAKES_NONE,
        "Run check: it names what SOURCE_BUCKET lacks. Or set DOWNLOAD_FILES = True in config.py, "
        "if worker/generic-worker.py downloads its files; then: setup, startCluster.",
        True,
    ),
    "AccessDenied": Reason(
        _TAKES_NONE,
        "Run setupAWS, or correct TASK_ROLE_ARN in config.py; then: setup, startCluster.",
        True,
    ),
    "": Reason(
        _TAKES_NONE,
        "Mend what it says; the log group has more lines. Then: stop, setup, startCluster.",
        True,
    ),
}
