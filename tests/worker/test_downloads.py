"""Downloads in the job's log: each as long as they are few, sums when they are many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from plumbing.downloads import SINGLY, TOGETHER_SECONDS, Downloads


@pytest.fixture
def told():
    """The lines, a Downloads that writes them, and its clock."""
    lines, now = [], [0.0]
    return lines, Downloads(lines.append, lambda: now[0]), now


def test_each_of_a_few_is_told_with_what_it_was(told):
    lines, downloads, _ = told

    downloads.add("s3://b/in/x.tif", 1, 1_500_000, 0.25)
    downloads.add("s3://b/in/", 1234, 2_000_000_000, 61.0)
    downloads.tell()

    assert lines == [
        "downloaded: s3://b/in/x.tif: 1 file, 1.500 MB in 0.2 s",
        "downloaded: s3://b/in/: 1,234 files, 2000.000 MB in 61.0 s",
    ]


def test_of_ten_thousand_there_is_a_line_each_for_the_first_and_one_for_the_rest(told):
    lines, downloads, _ = told

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda n: downloads.add(f"s3://b/{n}", 1, 1000, 0.01), range(10_000)):
            continue
    downloads.tell()
    downloads.tell()

    assert len(lines) == SINGLY + 1
    assert "9,990 more, the last s3://b/" in lines[-1]
    assert lines[-1].endswith(": 9,990 files, 9.990 MB in 99.9 s in all")


def test_of_many_that_take_long_it_is_told_from_time_to_time_how_far_they_are(told):
    lines, downloads, now = told

    for n in range(SINGLY + 100):
        downloads.add(f"s3://b/{n}", 1, 1000, 10.0)
        now[0] += 10.0

    more = lines[SINGLY:]
    assert len(more) == 100 // (TOGETHER_SECONDS / 10)
    assert more[0].startswith("downloaded: 6 more, the last s3://b/15: 6 files, ")


def test_one_that_is_left_is_told_by_its_name(told):
    lines, downloads, _ = told

    for n in range(SINGLY + 1):
        downloads.add(f"s3://b/{n}", 1, 1000, 0.0)
    downloads.tell()

    assert lines[-1] == f"downloaded: s3://b/{SINGLY}: 1 file, 0.001 MB in 0.0 s"
