"""The causes for which a job can fail, a closed list, and the exceptions."""

from __future__ import annotations

import errno
from typing import Literal, get_args

# documentation/contract.md has a line on each. They are part of keys on S3, so that counting by
# cause needs listings only.
Cause = Literal[
    "out_of_memory",
    "timeout",
    "disk_full",
    "machine_error",
    "exit_code",
    "signal",
    "output_match",
    "job_failed",
    "exception",
    "missing_input",
    "missing_program",
    "missing_module",
    "missing_value",
    "no_output",
    "bad_output",
    "refused_by_aws",
    "aws_unavailable",
    "not_a_job",
    "worker_error",
    "killed",
    "interrupted",
    "cancelled",
    "already_done",
]
CAUSES = frozenset(get_args(Cause))
# Errors of the operating system that are the machine's fault, not the job's.
MACHINE_ERRORS: dict[int, tuple[Cause, str]] = {
    errno.ENOSPC: ("disk_full", "the disk is full"),
    errno.EDQUOT: ("disk_full", "the disk is full"),
    errno.EROFS: ("machine_error", "the disk is read-only"),
    errno.EIO: ("machine_error", "the disk or mount does not work"),
    errno.ENOTCONN: ("machine_error", "the mounted bucket is gone"),
    errno.ENOMEM: ("out_of_memory", "the machine has no memory left"),
}


class JobFailed(Exception):
    """The job failed; the text is what the scientist reads.

    The job is tried again, JOB_RETRIES times in all, unless `retry` is False: then another attempt
    would end the same way, and the job fails for good at once. The other keywords are plumbing's
    own. `machine`: the fault is in this machine or in the image, so other jobs would fail here
    too. `exit_code` and `signal` are those of the program.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry: bool = True,
        cause: Cause = "job_failed",
        machine: bool = False,
        exit_code: int | None = None,
        signal: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.retry = retry
        self.cause = cause if cause in CAUSES else "job_failed"
        self.machine = machine
        self.exit_code = exit_code
        self.signal = signal


class LeaseLost(Exception):
    """Another worker may have the message by now: this one must not write anything."""


class Interrupted(Exception):
    """The worker was told to stop."""


def failure_of(error: BaseException, raised_by: str) -> JobFailed:
    """Return the failure that an exception means which `raised_by` raised."""
    if isinstance(error, JobFailed):
        return error
    if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
        cause, what = MACHINE_ERRORS[error.errno]
        return JobFailed(f"{what}: {error}", cause=cause, machine=True)
    reason = f"{raised_by} raised {type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        return JobFailed(reason, cause="out_of_memory")
    if isinstance(error, ImportError):
        # Like a missing program: no attempt and no other job finds it in this image.
        return JobFailed(reason, cause="missing_module", retry=False, machine=True)
    return JobFailed(reason, cause="exception")
