"""CHECK_IF_DONE_BOOL: whether a job's outputs are there; never looks at records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from plumbing import listing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plumbing.settings import Settings


def counts(name: str, size: int, settings: Settings) -> bool:
    """Whether a file of this name (below the output prefix) and size counts as an output."""
    return size >= settings.min_file_bytes and settings.necessary_string in name


def outputs_are_there(
    s3: S3Client, settings: Settings, prefix: str, check: Callable[[], None]
) -> bool:
    """Whether at least EXPECTED_NUMBER_FILES files below `prefix` count.

    Where no file is expected there is nothing to go by, so the job is run.
    """
    if settings.expected_files == 0:
        return False
    bucket, root = settings.destination_bucket, f"{prefix}/"
    found = 0
    for page in listing.pages(s3, bucket, root, check):
        for entry in page:
            found += counts(entry["Key"][len(root) :], entry["Size"], settings)
        if found >= settings.expected_files:
            return True
    return False
