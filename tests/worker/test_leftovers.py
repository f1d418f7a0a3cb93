from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from plumbing import upload
from plumbing.errors import LeaseLost
from plumbing.leftovers import abort_uploads
from plumbing.upload import Item


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
    cloud.sqs.send_message(
        QueueUrl=cloud.queue_url,
        MessageBody=json.dumps({"group": {"name": "A1"}}),
        MessageAttributes={
            "submission": {
                "DataType": "Number",
                "StringValue": "2" if how == "later submission" else "1",
            }
        },
    )
    if how == "later receive":
        cloud.receive(visibility=0)

    attend(make_worker(run_job))

    assert cloud.states("records") == ["done.json"]
    assert uploads_of(cloud) == (["out/A1/large.bin"] if how == "first" else [])
