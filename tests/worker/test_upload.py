from __future__ import annotations

import errno
import os

import pytest
from botocore.exceptions import ClientError

from plumbing import upload
from plumbing.errors import JobFailed, LeaseLost
from plumbing.upload import Item, abort_uploads


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.fixture
def send(cloud, folder):
    def send_it(check=lambda: None, say=lambda text: None, **arguments):
        items = upload.items_of(folder, cloud.bucket, "out/A1", arguments, say)
        upload.send_all(cloud.s3, items, check)
        return items

    return send_it


def uploads_left(cloud):
    return cloud.s3.list_multipart_uploads(Bucket=cloud.bucket).get("Uploads", [])


@pytest.mark.parametrize("count", [1, 30])
def test_every_file_arrives_under_the_prefix(cloud, folder, send, count):
    (folder / "sub").mkdir()
    for number in range(count):
        (folder / "sub" / f"é {number}").write_bytes(b"x" * number)

    send()

    assert sorted(cloud.names()) == sorted(f"out/A1/sub/é {n}" for n in range(count))
    assert cloud.read(f"out/A1/sub/é {count - 1}") == b"x" * (count - 1)


def test_upload_flags_and_the_type_of_the_name_go_along(cloud, folder, send):
    (folder / "a.csv").write_text("x")

    send(Metadata={"by": "me"}, StorageClass="STANDARD_IA")

    head = cloud.s3.head_object(Bucket=cloud.bucket, Key="out/A1/a.csv")
    assert head["ContentType"] == "text/csv"
    assert head["Metadata"] == {"by": "me"}
    assert head["StorageClass"] == "STANDARD_IA"


def test_a_given_type_is_kept(cloud, folder, send):
    (folder / "a.csv").write_text("x")

    send(ContentType="text/plain")

    head = cloud.s3.head_object(Bucket=cloud.bucket, Key="out/A1/a.csv")
    assert head["ContentType"] == "text/plain"


def test_links_to_files_are_followed_and_what_is_left_out_is_logged(cloud, folder, send, tmp_path):
    (tmp_path / "elsewhere").write_text("there")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "broken").symlink_to(tmp_path / "nothing")
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    said = []

    send(say=said.append)

    assert cloud.names() == ["out/A1/link"]
    assert len(said) == 3


def test_a_folder_that_cannot_be_read_fails_the_job(folder, send, monkeypatch):
    (folder / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(JobFailed, match="Permission denied.*locked"):
        send()


def test_no_output_folder_is_no_output(folder, send):
    folder.rmdir()

    assert send() == []


def test_two_files_that_would_be_one_object_fail_the_job_with_both_names(cloud, folder, send):
    for name in (b"x\xff", b"x\xfe"):
        (folder / os.fsdecode(name)).write_text("x")

    with pytest.raises(JobFailed, match=r"x\\udcf[ef].*x\\udcf[ef].*out/A1/x\?"):
        send()
    assert cloud.names() == []


def test_a_large_file_arrives_whole_in_parts(cloud, folder, send):
    body = os.urandom(2 * upload.PART + 12345)
    (folder / "large.bin").write_bytes(body)
    (folder / "small").write_bytes(b"x")

    send(Metadata={"by": "me"})

    assert cloud.read("out/A1/large.bin") == body
    head = cloud.s3.head_object(Bucket=cloud.bucket, Key="out/A1/large.bin")
    assert head["Metadata"] == {"by": "me"}
    assert "-3" in head["ETag"]


def test_nothing_is_uploaded_after_a_lost_lease(cloud, folder, send):
    for number in range(5):
        (folder / str(number)).write_bytes(b"x")

    def check():
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        send(check)
    assert cloud.names() == []


def test_a_lease_lost_in_the_middle_of_a_large_file_leaves_nothing(cloud, folder, send):
    (folder / "large.bin").write_bytes(os.urandom(3 * upload.PART))
    asked = []

    def check():
        asked.append(1)
        if len(asked) > 2:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        send(check)
    assert cloud.names() == []
    assert uploads_left(cloud) == []


@pytest.fixture
def begun(cloud):
    """Begins an upload that nobody finishes."""

    def begin(key):
        cloud.s3.create_multipart_upload(Bucket=cloud.bucket, Key=key)

    return begin


def uploads_of(cloud):
    found = cloud.s3.list_multipart_uploads(Bucket=cloud.bucket).get("Uploads", [])
    return sorted(entry["Key"] for entry in found)


def large(cloud, key, size=upload.PART + 1):
    return Item(None, cloud.bucket, key, size, {})


def test_open_uploads_of_a_jobs_own_files_are_aborted_and_no_others(cloud, begun):
    for key in ("out/a", "out/a", "out/a.b", "out/b"):
        begun(key)

    abort_uploads(cloud.s3, [large(cloud, "out/a"), large(cloud, "out/b", 10)], lambda: None)

    assert uploads_of(cloud) == ["out/a.b", "out/b"]


def test_what_s3_refuses_to_tell_is_no_reason_to_fail(cloud, begun, capfd):
    begun("out/a")

    def deny(**more):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListMultipartUploads")

    cloud.s3.meta.events.register("before-call.s3.ListMultipartUploads", deny)

    abort_uploads(cloud.s3, [large(cloud, "out/a")], lambda: None)

    assert "open uploads of" in capfd.readouterr().out


def test_nothing_is_aborted_after_a_lost_lease(cloud, begun):
    begun("out/a")

    def check():
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        abort_uploads(cloud.s3, [large(cloud, "out/a")], check)
    assert uploads_of(cloud) == ["out/a"]


@pytest.mark.parametrize("how", ["first", "later receive", "later submission"])
def test_an_attempt_looks_for_them_only_if_there_may_have_been_another(
    cloud, make_worker, attend, begun, how
):
    def run_job(job):
        (job.output_dir / "large.bin").write_bytes(b"x" * (upload.PART + 1))

    begun("out/A1/large.bin")
    cloud.send({"name": "A1"}, {"submission": "2" if how == "later submission" else "1"})
    if how == "later receive":
        cloud.receive(visibility=0)

    attend(make_worker(run_job))

    assert cloud.states("records") == ["done.json"]
    assert uploads_of(cloud) == (["out/A1/large.bin"] if how == "first" else [])
