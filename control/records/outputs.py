"""Where the outputs of a run are."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from control.aws.s3 import list_keys
from control.records import failed_jobs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run

# Records are in the order of the jobs' hashes: the first of them are of jobs from everywhere.
_READ = 100

_WITH_OUTPUTS = (".done.json", ".skipped.json")


def folders(s3: S3Client, run: Run) -> list[str]:
    """The one folder that holds all outputs, without a slash at its end; if the jobs share none,
    the folders of some of them; nothing if no job is done."""
    keys = list_keys(s3, run.bucket, f"{run.prefix}records/")
    some = list(itertools.islice((key for key in keys if key.endswith(_WITH_OUTPUTS)), _READ))
    read = failed_jobs.read(s3, run, some, lambda _: None)
    found = sorted({one.record.get("output_prefix", "").strip("/") for one in read} - {""})
    if not found:
        return []
    shared = os.path.commonprefix([place.split("/") for place in found])
    return ["/".join(shared)] if shared else found


def in_words(root: str, places: list[str], how: str) -> str:
    """The sentence that names the place below `root`; `how` is what lists all of it."""
    if not places:
        return "Outputs: none, for no job is done."
    if len(places) == 1:
        return f"Outputs: {root}{places[0]}/"
    return f"Outputs: {root} in {len(places)} folders or more, such as {places[0]}/; {how}"
