"""Where files may go: no value of a job leads out of its folder or to the root of a bucket."""

from __future__ import annotations

import os
from pathlib import Path

from plumbing.errors import JobFailed

# In AWS_BUCKET, the first part of the keys of all that the system itself writes.
RECORDS = "runs"


def output_place(prefix: object, beside_records: bool) -> str:
    """What output_prefix returned, without slashes at its ends. Raises JobFailed.

    `beside_records`: outputs go to AWS_BUCKET, where they must not be taken for records.
    """
    if not isinstance(prefix, (str, Path)):
        raise JobFailed(f"output_prefix returned {prefix!r} instead of text", retry=False)
    parts = [part for part in str(prefix).split("/") if part]
    if not parts:
        raise JobFailed(
            "output_prefix returned nothing: outputs would go to the bucket's root", retry=False
        )
    if any(part in (".", "..") for part in parts):
        raise JobFailed(
            f"output_prefix returned {str(prefix)!r}, which holds '.' or '..'", retry=False
        )
    if beside_records and parts[0] == RECORDS:
        raise JobFailed(
            f"output_prefix returned {str(prefix)!r}: in AWS_BUCKET {RECORDS}/ is for the records",
            retry=False,
        )
    return "/".join(parts)


def inside(folder: Path, relative: str) -> Path:
    """The path `relative` below `folder`. Raises JobFailed if it would lie elsewhere."""
    parts = [part for part in relative.split("/") if part]
    if not parts or any(part in (".", "..") for part in parts):
        raise JobFailed(f"{relative!r} cannot be the name of a file below {folder}", retry=False)
    return folder.joinpath(*parts)


def key_of(path: Path, folder: Path) -> str:
    """The part of a key that a file below `folder` gets; bytes that are no UTF-8 become '?'."""
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "replace").replace("\ufffd", "?")
