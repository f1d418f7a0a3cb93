"""What a run has been given: the parts on S3, read and written."""

import gzip
import json

import pytest
from botocore.exceptions import ClientError

from control.records import submissions
from control.records.submissions import Ids, Submissions
from control.user_files.job import make_job


def job(number, **group):
    return make_job({"s": "ü"}, {"n": number, **group}, "")


def keys(aws, run):
    return [key.rsplit("/", 1)[-1] for key in submissions.parts(aws.s3, run)]


def test_a_part_lists_its_jobs_as_the_contract_says(aws, run):
    parts = submissions.Parts(aws.s3, run, command=3)
    parts.add([(job(1), 1), (job(2), 2)])
    parts.flush()
    assert keys(aws, run) == ["0003-000001-new1-again1.jsonl.gz"]
    (key,) = submissions.parts(aws.s3, run)
    assert key == f"runs/Test/{run.run_id}/submitted/0003-000001-new1-again1.jsonl.gz"
    content = aws.s3.get_object(Bucket=run.bucket, Key=key)["Body"].read()
    first = json.loads(gzip.decompress(content).splitlines()[0])
    assert first == {
        "id": job(1).id,
        "name": "1",
        "submission": 1,
        "body": {"s": "ü", "group": {"n": 1}},
    }


def test_parts_end_at_a_number_of_jobs_and_at_a_size(aws, run):
    parts = submissions.Parts(aws.s3, run, 1, part_jobs=2, part_bytes=1000)
    for number in range(4):
        parts.add([(job(number), 1)])
    parts.add([(job(9, text="x" * 1000), 1)])
    parts.add([(job(10), 1)])
    parts.flush()
    parts.flush()
    assert [submissions.part_sizes(key) for key in keys(aws, run)] == [
        (2, 0),
        (2, 0),
        (1, 0),
        (1, 0),
    ]


def test_a_part_that_could_not_be_written_is_kept(stub_aws):
    broken = []

    def fault(call):
        if call.operation == "PUT" and broken:
            broken.pop()
            call.status, call.code = 403, "AccessDenied"

    _, clients, run = stub_aws(fault)
    parts = submissions.Parts(clients.s3, run, 1)
    parts.add([(job(1), 1)])
    broken.append(1)
    with pytest.raises(ClientError):
        parts.flush()
    parts.flush()
    assert [entry["name"] for entry in submissions.entries(clients.s3, run)] == ["1"]


def test_the_last_submission_of_each_job_is_known(aws, run):
    for command, batch in enumerate(
        ([(job(1), 1), (job(2), 1)], [(job(2), 2), (job(3), 1)], [(job(2), 3)]), start=1
    ):
        parts = submissions.Parts(aws.s3, run, command)
        parts.add(batch)
        parts.flush()
    known = submissions.known(aws.s3, run).submissions
    assert [known[int(job(number).id, 16)] for number in range(5)] == [0, 1, 3, 1, 0]
    names = [entry["name"] for entry in submissions.entries(aws.s3, run)]
    assert names == ["1", "2", "2", "3", "2"]


def test_what_is_no_part_is_left_alone(aws, run):
    for name in ("", "notes.txt"):
        aws.s3.put_object(Bucket=run.bucket, Key=f"{run.prefix}submitted/{name}", Body=b"x")
    assert list(submissions.entries(aws.s3, run)) == []


def test_submissions_hold_the_highest_number_of_each_job():
    big = 0xFFFF_FFFF_FFFF_FFFF
    held = Submissions([(big, 1), (5, 2), (5, 7), (0, 1), (5, 3)])
    assert [held[n] for n in (big, 5, 0, 1)] == [1, 7, 1, 0]
    assert Submissions()[5] == 0
    assert held.beyond(Submissions()) == 3
    assert held.beyond(Submissions([(5, 6), (0, 1)])) == 2
    assert held.beyond(held) == 0


def test_ids_are_a_set():
    held = Ids([3, 1, 2**64 - 1])
    assert len(held) == 3
    assert all(n in held for n in (1, 3, 2**64 - 1))
    assert not any(n in held for n in (0, 2, 4))
