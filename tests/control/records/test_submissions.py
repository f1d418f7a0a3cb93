"""The parts of `submitted/`, written and read."""

import dataclasses
import gzip
import json

import pytest

from control.records import submissions
from control.records.submissions import Ids, Submissions
from control.user_files.job import make_job


def job(number, **group):
    return make_job({"s": "ü"}, {"n": number, **group}, "")


def put(aws, run, *parts):
    """Write parts, each as (command, its number, pairs of a job's number and its submission)."""
    for command, number, pairs in parts:
        jobs = [(job(n), submission) for n, submission in pairs]
        submissions.write_part(aws.s3, run, command, number, jobs)


def test_a_part_lists_its_jobs_as_the_contract_says(aws, run):
    put(aws, run, (3, 1, [(1, 1), (2, 2)]))
    (key,) = submissions.parts(aws.s3, run)
    assert key == f"runs/Test/{run.run_id}/submitted/0003-000001-new1-again1.jsonl.gz"
    assert submissions.parse_part(key) == (3, 1, 1, 1)
    content = aws.s3.get_object(Bucket=run.bucket, Key=key)["Body"].read()
    first = json.loads(gzip.decompress(content).splitlines()[0])
    assert first == {
        "id": job(1).id,
        "name": "1",
        "submission": 1,
        "body": {"s": "ü", "group": {"n": 1}},
    }
    pairs = submissions.jobs_of_part(aws.s3, run, key)
    assert [(one.id, one.body, n) for one, n in pairs] == [
        (job(1).id, job(1).body, 1),
        (job(2).id, job(2).body, 2),
    ]


def test_parts_end_at_a_number_of_jobs_and_at_a_size(monkeypatch):
    monkeypatch.setattr(submissions, "_PART_JOBS", 2)
    monkeypatch.setattr(submissions, "_PART_BYTES", 1000)
    jobs = [*map(job, range(5)), job(9, text="x" * 1000), job(10)]
    parts = submissions.split((one, 1) for one in jobs)
    assert [len(part) for part in parts] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    ("sending", "uncertain"),
    [({}, []), ({"2": 0}, [(2, 3)]), ({"2": 3}, []), ({"1": 0, "2": 1, "9": 0}, [(1, 1), (2, 3)])],
)
def test_the_last_part_of_an_unfinished_command_is_uncertain(aws, run, sending, uncertain):
    put(aws, run, (1, 1, [(1, 1)]), *((2, n, [(2, n)]) for n in (1, 2, 3)))
    found = submissions.unconfirmed(aws.s3, dataclasses.replace(run, sending=sending))
    assert [submissions.parse_part(entry.key)[:2] for entry in found] == uncertain


def test_the_last_submission_of_each_job_is_known(aws, run):
    put(aws, run, (1, 1, [(1, 1), (2, 1)]), (2, 1, [(2, 2), (3, 1)]), (3, 1, [(2, 3)]))
    seen = []
    known = submissions.known(aws.s3, dataclasses.replace(run, sending_again=[2]), seen.append)
    ids = [int(job(number).id, 16) for number in range(5)]
    assert [known.submissions[one] for one in ids] == [0, 1, 3, 1, 0]
    assert [one in known.sent_again for one in ids] == [False, False, True, False, False]
    assert seen == [2, 2, 1]
    names = [entry["name"] for entry in submissions.entries(aws.s3, run)]
    assert names == ["1", "2", "2", "3", "2"]


def test_a_job_is_found_as_it_was_submitted_last(aws, run):
    put(aws, run, (1, 1, [(1, 1), (2, 1)]), (1, 2, [(3, 1)]), (10, 1, [(2, 2)]), (2, 1, [(3, 2)]))
    wanted = {int(job(number).id, 16) for number in (2, 3)}
    found = submissions.last_of(aws.s3, run, wanted.__contains__)
    assert {(one.id, number) for one, number in found} == {(job(2).id, 2), (job(3).id, 2)}


def test_a_job_without_a_record_is_named_once_however_often_it_was_sent(aws, run):
    put(aws, run, (1, 1, [(1, 1), (2, 1), (3, 1)]), (2, 1, [(2, 2)]))
    recorded = Ids([int(job(1).id, 16)])
    assert list(submissions.without_record(aws.s3, run, recorded)) == ["2", "3"]


def test_what_is_no_part_is_left_alone(aws, run):
    for name in ("", "notes.txt"):
        aws.s3.put_object(Bucket=run.bucket, Key=f"{run.prefix}submitted/{name}", Body=b"x")
    assert list(submissions.entries(aws.s3, run)) == []


def test_submissions_hold_the_highest_number_of_each_job():
    big = 0xFFFF_FFFF_FFFF_FFFF
    held = Submissions([(big, 1), (5, 2), (5, 7), (0, 1), (5, 3)])
    assert [held[n] for n in (big, 5, 0, 1)] == [1, 7, 1, 0]
    assert Submissions()[5] == 0


def test_ids_are_a_set():
    held = Ids([3, 1, 2**64 - 1])
    assert len(held) == 3
    assert all(n in held for n in (1, 3, 2**64 - 1))
    assert not any(n in held for n in (0, 2, 4))
