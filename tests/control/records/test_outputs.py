"""The places of outputs, from the records."""

from __future__ import annotations

from collections import namedtuple

import pytest

from control.records import outputs
from tests.worker_records import put

Job = namedtuple("Job", "id name")


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], "Outputs: none, because no job is done."),
        ([("failed", "out/a")], "Outputs: none, because no job is done."),
        ([("done", "out/a"), ("done", "out/b"), ("failed", "else/c")], "Outputs: s3://b/out/"),
        ([("done", "out/ab/1"), ("done", "out/ac/2"), ("skipped", "out/ad/3")], "s3://b/out/"),
        ([("done", "out/a")], "Outputs: s3://b/out/a/"),
        (
            [("done", "one/a"), ("done", "two/b")],
            "Outputs: s3://b/ in 2 folders or more, such as one/a/; all: list them",
        ),
    ],
    ids=["no job", "none done", "shared", "names alike", "one job", "apart"],
)
def test_the_place_is_the_folder_that_all_share(aws, run, states, said):
    for number, (state, prefix) in enumerate(states):
        put(aws.s3, run, Job(f"{number:016x}", f"job{number}"), state, output_prefix=prefix)
    places = outputs.folders(aws.s3, run)
    assert outputs.in_words("s3://b/", places, "all: list them").endswith(said)
