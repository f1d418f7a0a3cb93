"""The places of the outputs of a run."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from control.aws.s3 import list_entries
from control.records.job_objects import read, record_key
from control.records.states import WITH_OUTPUTS, by_job

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run

# Records are in the order of hashes: the first are from all over the job file.
_READ = 100


def folders(s3: S3Client, run: Run) -> list[str]:
    """Return the one folder that holds all outputs, without a slash at its end.

    If the jobs share none: the folders of some of them. Nothing if no job is done.
    """
    best = (records[0] for records in by_job(list_entries(s3, run.bucket, f"{run.prefix}records/")))
    with_outputs = (one for one in best if one.state in WITH_OUTPUTS)
    some = [record_key(run, one.job_id, one.state) for one in itertools.islice(with_outputs, _READ)]
    places = (one.record.get("output_prefix", "") for one in read(s3, run, some))
    found = sorted({place.strip("/") for place in places} - {""})
    if not found:
        return []
    shared = os.path.commonprefix([place.split("/") for place in found])
    return ["/".join(shared)] if shared else found


def in_words(root: str, places: list[str], how: str) -> str:
    """Return the sentence that names the place below `root`; `how` is what lists all of it."""
    if not places:
        return "Outputs: none, because no job is done."
    if len(places) == 1:
        return f"Outputs: {root}{places[0]}/"
    return f"Outputs: {root} in {len(places)} folders or more, such as {places[0]}/; {how}"
