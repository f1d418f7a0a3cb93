from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.response import StreamingBody

from plumbing import download
from plumbing.download import ALONE, TOGETHER_SECONDS, Downloads
from plumbing.errors import JobFailed


@pytest.fixture
def fetch(cloud, tmp_path):
    def fetch_it(what, **more):
        one_or_list = download.fetch_one if isinstance(what, str) else download.fetch_list
        return one_or_list(cloud.s3, cloud.bucket, what, tmp_path / "in", **more)[0]

    return fetch_it


@pytest.fixture
def put(cloud):
    def put_it(**files):
        for key, body in files.items():
            cloud.s3.put_object(Bucket=cloud.bucket, Key=key, Body=body)

    return put_it


def test_a_key_becomes_a_file_of_its_last_name(put, fetch, tmp_path):
    put(**{"plates/P 1/é.tif": b"pixels"})

    path = fetch("plates/P 1/é.tif")

    assert path == tmp_path / "in" / "é.tif"
    assert path.read_bytes() == b"pixels"


@pytest.mark.parametrize("prefix", ["plates/P1/", "plates/P1"])
def test_a_prefix_fills_the_folder_with_what_is_below_it(put, fetch, tmp_path, prefix):
    put(**{"plates/P1/a": b"1", "plates/P1/sub/b": b"2", "plates/P10/c": b"3", "plates/P1/": b""})

    folder = fetch(prefix)

    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == {"a": b"1", "sub/b": b"2"}


def test_of_a_prefix_only_what_matches_is_fetched(put, fetch, tmp_path):
    put(**{"in/a_D.tif": b"1", "in/deep/b_D.tif": b"2", "in/a_F.tif": b"3", "in_D.tif": b"4"})

    folder = fetch("in", only="*_D.tif")

    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"a_D.tif", "deep/b_D.tif"}


def test_a_pattern_that_matches_nothing_is_named(put, fetch):
    put(**{"in/a.tif": b"1", "in/b.tif": b"2"})

    with pytest.raises(JobFailed, match=r"none of 2 files below s3://.*/in/ matches \*\.png"):
        fetch("in/", only="*.png")


def test_a_list_comes_in_its_order(put, fetch, tmp_path):
    put(**{"x/a": b"1", "y/b": b"2"})

    paths = fetch(["y/b", "x/a"])

    assert [path.read_bytes() for path in paths] == [b"2", b"1"]


def test_a_missing_key_is_named(fetch, cloud):
    with pytest.raises(JobFailed, match=f"s3://{cloud.bucket}/plates/none"):
        fetch("plates/none")


def test_a_missing_key_of_a_list_is_named(put, fetch, cloud):
    put(a=b"1")

    with pytest.raises(JobFailed, match=f"s3://{cloud.bucket}/none does not exist"):
        fetch(["a", "none"])


def test_two_keys_of_one_name_do_not_overwrite_each_other(fetch):
    with pytest.raises(JobFailed, match="same name"):
        fetch(["x/a", "y/a"])


@pytest.mark.parametrize("what", ["", "/", "//"])
def test_the_whole_bucket_is_never_listed(fetch, what):
    with pytest.raises(JobFailed, match="whole bucket"):
        fetch(what)


def test_no_key_leads_out_of_the_folder(put, fetch, tmp_path):
    put(**{"p/../../evil": b"1"})

    with pytest.raises(JobFailed):
        fetch("p/")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 35])
def test_large_objects_come_whole_in_parts(put, fetch, monkeypatch, size):
    monkeypatch.setattr(download, "PART", 10)
    body = bytes(range(size))
    put(large=body)

    path = fetch("large")

    assert path.read_bytes() == body
    assert [p.name for p in path.parent.iterdir()] == ["large"]


def test_names_as_long_as_a_file_system_takes_are_kept_apart(put, fetch, monkeypatch):
    monkeypatch.setattr(download, "PART", 10)
    long = {f"p/{'n' * 250}-{end}": end.encode() * 40 for end in "abcdefgh"}
    wide = {"p/" + "日" * 84: b"wide"}
    put(**long, **wide)

    folder = fetch("p/")

    found = {f"p/{path.name}": path.read_bytes() for path in folder.iterdir()}
    assert found == {**long, **wide}


class CutOff:
    """A body that returns half of the requested bytes, every other time."""

    def __init__(self, content):
        self.content = content
        self.times = 0

    def get_object(self, Range="bytes=0-", **_):
        first, _, last = Range[len("bytes=") :].partition("-")
        whole = self.content[int(first) : int(last) + 1 if last else None]
        self.times += 1
        sent = whole[: len(whole) // 2] if self.times % 2 else whole
        body = StreamingBody(io.BytesIO(sent), len(whole))
        return {"ContentLength": len(whole), "ETag": '"e"', "Body": body}


@pytest.mark.parametrize("part", [100, 10])
def test_what_is_cut_off_on_the_way_is_fetched_again(tmp_path, monkeypatch, part, quick_retries):
    monkeypatch.setattr(download, "PART", part)
    monkeypatch.setattr(download, "PARTS_AT_ONCE", 1)
    s3 = CutOff(bytes(range(35)))

    path, sizes = download.fetch_one(s3, "bucket", "a", tmp_path)

    assert sizes == [35]
    assert path.read_bytes() == s3.content
    assert s3.times > 1


@pytest.fixture
def told():
    """The lines, a Downloads that writes them, and its clock."""
    lines, now = [], [0.0]
    return lines, Downloads(lines.append, lambda: now[0]), now


def test_each_of_a_few_is_reported_with_what_it_was(told):
    lines, downloads, _ = told

    downloads.add("s3://b/in/x.tif", 1, 1_500_000, 0.25)
    downloads.add("s3://b/in/", 1234, 2_000_000_000, 61.0)
    downloads.report()

    assert lines == [
        "downloaded: s3://b/in/x.tif: 1 file, 1.500 MB in 0.2 s",
        "downloaded: s3://b/in/: 1,234 files, 2000.000 MB in 61.0 s",
    ]


def test_of_ten_thousand_there_is_a_line_each_for_the_first_and_one_for_the_rest(told):
    lines, downloads, _ = told

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda n: downloads.add(f"s3://b/{n}", 1, 1000, 0.01), range(10_000)):
            continue
    downloads.report()
    downloads.report()

    assert len(lines) == ALONE + 1
    assert "9,990 more, the last s3://b/" in lines[-1]
    assert lines[-1].endswith(": 9,990 files, 9.990 MB in 99.9 s in all")


def test_many_that_take_long_report_their_progress_from_time_to_time(told):
    lines, downloads, now = told

    for n in range(ALONE + 100):
        downloads.add(f"s3://b/{n}", 1, 1000, 10.0)
        now[0] += 10.0

    more = lines[ALONE:]
    assert len(more) == 100 // (TOGETHER_SECONDS / 10)
    assert more[0].startswith("downloaded: 6 more, the last s3://b/15: 6 files, ")


def test_one_that_is_left_is_reported_by_its_name(told):
    lines, downloads, _ = told

    for n in range(ALONE + 1):
        downloads.add(f"s3://b/{n}", 1, 1000, 0.0)
    downloads.report()

    assert lines[-1] == f"downloaded: s3://b/{ALONE}: 1 file, 0.001 MB in 0.0 s"
