"""How a job can end other than well."""

from __future__ import annotations

import errno

# What an operating system answers for reasons that lie in the machine, not in the job.
MACHINE_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk or mount does not work",
    errno.ENOTCONN: "the mounted bucket is gone",
    errno.ENOMEM: "the machine has no memory left",
}


class JobFailed(Exception):
    """The job failed; the text is what the scientist reads.

    It is tried again, JOB_RETRIES times in all, unless `retry` is False: then no other attempt
    could end otherwise, and it is given up at once.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry: bool = True,
        exit_code: int | None = None,
        signal: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.retry = retry
        self.exit_code = exit_code
        self.signal = signal


class MachineFault(JobFailed):
    """The job failed for a reason that lies in this machine or in the image: others would fail on
    it as well.
    """


class LeaseLost(Exception):
    """The message may be another worker's by now: nothing may be written any more."""


class Interrupted(Exception):
    """The worker was told to stop."""


def os_reason(error: OSError) -> str:
    """An error of the operating system as a reason."""
    known = MACHINE_ERRORS.get(error.errno or 0)
    return f"{known}: {error}" if known else f"{type(error).__name__}: {error}"
