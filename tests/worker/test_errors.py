from __future__ import annotations

import errno

import pytest

from plumbing.errors import CAUSES, MACHINE_ERRORS, JobFailed, failure_of


@pytest.mark.parametrize(
    ("error", "cause", "machine", "retry"),
    [
        (OSError(errno.ENOSPC, "no space", "x"), "disk_full", True, True),
        (OSError(errno.EIO, "bad disk", "x"), "machine_error", True, True),
        (OSError(errno.ENOMEM, "no memory"), "out_of_memory", True, True),
        (MemoryError("300 GiB"), "out_of_memory", False, True),
        (ModuleNotFoundError("No module named 'x'"), "missing_module", True, False),
        (ImportError("libx.so: cannot open"), "missing_module", True, False),
        (FileNotFoundError(errno.ENOENT, "none", "x"), "exception", False, True),
        (KeyError("x"), "exception", False, True),
        (JobFailed("why"), "job_failed", False, True),
        (JobFailed("why", retry=False, cause="no_output"), "no_output", False, False),
        (JobFailed("why", cause="of the user"), "job_failed", False, True),
    ],
    ids=repr,
)
def test_every_exception_has_a_cause(error, cause, machine, retry):
    failure = failure_of(error, "run_job")

    assert (failure.cause, failure.machine, failure.retry) == (cause, machine, retry)
    assert str(error) in str(failure)


def test_all_causes_are_words_that_fit_into_a_key():
    assert all(cause.replace("_", "").isalpha() and cause.islower() for cause in CAUSES)
    assert {cause for cause, _ in MACHINE_ERRORS.values()} <= CAUSES
