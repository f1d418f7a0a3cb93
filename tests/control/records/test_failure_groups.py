"""Failures with similar reasons, grouped."""

import pytest

from control.records import failure_groups


def record(reason, name="P1-A01", cause="exception"):
    return {"cause": cause, "reason": reason, "job_name": name}


@pytest.mark.parametrize(
    ("reason", "name", "pattern"),
    [
        ("prog exited with code 3", "P1", "prog exited with code 3"),
        ("s3://bucket/a/P1.tif does not exist", "P1", "s3://... does not exist"),
        ("see https://x.org/a?b=3.", "P1", "see https://...."),
        ("bad value 'n/a' in P1-A01.csv, line 12", "P1-A01", "bad value 'n/a' in FILE, line N"),
        ("took 21.5 s, not 1,000 s", "P1", "took N s, not N s"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/x.1/out put.csv'",
            "P1",
            "FileNotFoundError: [Errno 2] No such file or directory: 'PATH FILE'",
        ),
        ("P1 and P12 differ", "P1", "NAME and P12 differ"),
        ("lost i-0123456789abcdef0 (m5.xlarge)", "P1", "lost ID (m5.xlarge)"),
        ("can't decode byte 0xff at -3", "P1", "can't decode byte N at N"),
        ("two\n  lines", "", "two lines"),
        ("", "P1", ""),
    ],
)
def test_what_belongs_to_one_job_is_left_out(reason, name, pattern):
    assert failure_groups.pattern(reason, name) == pattern


def test_alike_reasons_are_one_group_and_the_largest_comes_first():
    found = failure_groups.groups(
        [
            record("prog exited with code 3"),
            *(record(f"s3://b/{name}.tif does not exist", name) for name in ("x", "y", "z")),
            record("prog exited with code 4"),
            record("prog exited with code 3"),
            record("prog exited with code 4", cause="job_failed"),
        ]
    )
    assert [(group.cause, group.reason, len(group.records)) for group in found] == [
        ("exception", "s3://... does not exist", 3),
        ("exception", "prog exited with code 3", 2),
        ("exception", "prog exited with code 4", 1),
        ("job_failed", "prog exited with code 4", 1),
    ]
    assert [r["job_name"] for r in found[0].records] == ["x", "y", "z"]


def test_a_reason_that_all_jobs_have_is_shown_as_it_is():
    (group,) = failure_groups.groups(
        [record("took longer than JOB_TIMEOUT (60 s)", n) for n in "ab"]
    )
    assert group.reason == "took longer than JOB_TIMEOUT (60 s)"
