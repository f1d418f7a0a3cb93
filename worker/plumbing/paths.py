"""Safe places for files: no value of a job leads out of its folder or to the root of a bucket."""

from __future__ import annotations

import os
from pathlib import Path

from plumbing.errors import JobFailed

# In AWS_BUCKET, the first part of the keys of all that the system itself writes.
RECORDS = "runs"


def output_place(prefix: object, beside_records: bool) -> str:
    """Return what output_prefix returned, without slashes at its ends. Raise JobFailed.

    `beside_records`: outputs go to AWS_BUCKET, where they must not look like records.
    """
    if not isinstance(prefix, (str, Path)):
        raise _bad_output(f"output_prefix returned {prefix!r} instead of text")
    parts = [part for part in str(prefix).split("/") if part]
    if not parts:
        raise _bad_output("output_prefix returned nothing: outputs would go to the bucket's root")
    if any(part in (".", "..") for part in parts):
        raise _bad_output(f"output_prefix returned {str(prefix)!r}, which contains '.' or '..'")
    if beside_records and parts[0] == RECORDS:
        raise _bad_output(
            f"output_prefix returned {str(prefix)!r}: in AWS_BUCKET {RECORDS}/ is for the records"
        )
    return "/".join(parts)


def _bad_output(reason: str) -> JobFailed:
    return JobFailed(reason, retry=False, cause="bad_output")


def inside(folder: Path, relative: str) -> Path:
    """Return the path `relative` below `folder`. Raise JobFailed if it would lie elsewhere."""
    parts = [part for part in relative.split("/") if part]
    if not parts or any(part in (".", "..") for part in parts):
        reason = f"{relative!r} cannot be the name of a file below {folder}"
        raise JobFailed(reason, retry=False, cause="missing_input")
    return folder.joinpath(*parts)


def key_of(path: Path, folder: Path) -> str:
    """Return the part of a key for a file below `folder`; bytes that are not UTF-8 become '?'."""
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "replace").replace("\ufffd", "?")
