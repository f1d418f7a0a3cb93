import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto.s3.models import FakeKey, S3Backend
from werkzeug.test import Client

from embedded_aws import s3
from embedded_aws.s3 import SortedKeys, list_objects_v2
from embedded_aws.server import Dispatcher

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, S=x"}
SIZES = [0, 1, 9_000_000]


@pytest.fixture
def bucket(aws):
    name = aws.name("bucket")
    aws.s3.create_bucket(Bucket=name)
    return name


def put(aws, bucket, key, body=b"x", **changes):
    return aws.s3.put_object(Bucket=bucket, Key=key, Body=body, **changes)["ETag"]


def get(aws, bucket, key):
    return aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.mark.parametrize("size", SIZES)
def test_file_comes_back_as_it_was_uploaded(aws, bucket, tmp_path, size):
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(os.urandom(size))
    aws.s3.upload_file(str(sent), bucket, "key")
    aws.s3.download_file(bucket, "key", str(got))
    assert got.read_bytes() == sent.read_bytes()
    assert aws.s3.head_object(Bucket=bucket, Key="key")["ContentLength"] == size


@pytest.mark.parametrize("size", SIZES[:2] + [3_000_000])
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_stream_with_a_trailing_checksum_comes_back(aws, bucket, tmp_path, size, algorithm):
    path = tmp_path / "sent"
    path.write_bytes(os.urandom(size))
    with path.open("rb") as body:
        put(aws, bucket, "key", body, ChecksumAlgorithm=algorithm)
    assert get(aws, bucket, "key") == path.read_bytes()


def test_many_parts_at_once_are_put_together_in_order(aws, bucket, tmp_path):
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(os.urandom(16_000_000))
    parts = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)
    aws.s3.upload_file(str(sent), bucket, "key", Config=parts)
    aws.s3.download_file(bucket, "key", str(got), Config=parts)
    assert got.read_bytes() == sent.read_bytes()


def test_write_if_absent_succeeds_once(aws, bucket):
    put(aws, bucket, "key", b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        put(aws, bucket, "key", b"second", IfNoneMatch="*")
    assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert get(aws, bucket, "key") == b"first"


def test_write_if_unchanged_needs_the_present_etag(aws, bucket):
    old = put(aws, bucket, "key", b"1")
    new = put(aws, bucket, "key", b"2", IfMatch=old)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        put(aws, bucket, "key", b"3", IfMatch=old)
    put(aws, bucket, "key", b"4", IfMatch=new)
    assert get(aws, bucket, "key") == b"4"


def test_write_if_unchanged_of_an_absent_key_says_not_found(aws, bucket):
    with pytest.raises(ClientError) as refused:
        put(aws, bucket, "absent", IfMatch='"0"')
    assert refused.value.response["Error"]["Code"] == "NoSuchKey"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_of_many_conditional_writers_exactly_one_wins(aws, bucket):
    for number in range(5):
        won, barrier = [], threading.Barrier(6)

        def write(name, key=f"key-{number}", won=won, barrier=barrier):
            barrier.wait()
            try:
                put(aws, bucket, key, name.encode(), IfNoneMatch="*")
            except ClientError as error:
                assert error.response["Error"]["Code"] == "PreconditionFailed"
            else:
                won.append(name)

        threads = [threading.Thread(target=write, args=(str(n),)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert [get(aws, bucket, f"key-{number}").decode()] == won


def test_no_conditional_write_comes_between_look_and_write_of_another(monkeypatch):
    s3.install()
    client = Client(Dispatcher())
    assert client.put("/some-bucket", headers=SIGNED).status_code == 200
    both_looked = threading.Barrier(2)
    write = S3Backend.put_object

    def write_late(*args, **changes):
        # Two writers can only meet here if nothing keeps them apart.
        with contextlib.suppress(threading.BrokenBarrierError):
            both_looked.wait(0.3)
        return write(*args, **changes)

    monkeypatch.setattr(S3Backend, "put_object", write_late)
    with ThreadPoolExecutor(2) as pool:
        headers = {**SIGNED, "If-None-Match": "*"}
        answers = pool.map(lambda _: client.put("/some-bucket/key", headers=headers), range(2))
        assert sorted(answer.status_code for answer in answers) == [200, 412]


def test_missing_key_and_bucket_are_distinguished(aws, bucket):
    with pytest.raises(aws.s3.exceptions.NoSuchKey):
        get(aws, bucket, "absent")
    with pytest.raises(aws.s3.exceptions.NoSuchBucket):
        get(aws, "no-such-bucket", "absent")
    with pytest.raises(ClientError, match="404"):
        aws.s3.head_object(Bucket=bucket, Key="absent")


class Bucket:
    def __init__(self):
        self.keys = SortedKeys()


def names(found):
    return [one if isinstance(one, str) else one.name for one in found]


def listing(backend, bucket, prefix="", delimiter=None, size=1000, start_after=None):
    """Return the names of all pages."""
    found, token, more = [], None, True
    while more:
        page, more, token = list_objects_v2(
            backend, bucket, prefix, delimiter, token, start_after, size
        )
        assert len(page) <= size
        found += names(page)
    return found


def expected(keys, prefix, delimiter, start_after):
    """Return the same by brute force."""
    found = set()
    for key in keys:
        if not key.startswith(prefix):
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key if end < 0 else key[: end + 1]
        if name > (start_after or ""):
            found.add(name)
    return sorted(found)


class Key(FakeKey):
    """A key of moto without a content."""

    def __init__(self, name):
        self.name = name

    def dispose(self, garbage=False):
        """Do nothing: it has no file to close."""


KEYS = st.text("ab/é", min_size=1, max_size=4)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([(False, "/"), (False, "/a")], "/", "/", 1)  # a key that is its own prefix
@given(
    st.lists(st.tuples(st.booleans(), KEYS), max_size=40),
    st.text("ab/", max_size=2),
    st.sampled_from([None, "/"]),
    st.integers(1, 3),
)
def test_pages_give_every_name_once_and_in_order(changes, prefix, delimiter, size):
    backend, bucket, present = S3Backend("aws", "123456789012"), Bucket(), set()
    for number, (delete, name) in enumerate(changes):
        if delete and name in present:
            bucket.keys.pop(name)
            present.remove(name)
        else:
            bucket.keys[name] = Key(name)
            present.add(name)
        if number % 5 == 0:
            found = listing(backend, bucket, prefix, delimiter, 1000)
            assert found == expected(present, prefix, delimiter, None)
    assert listing(backend, bucket, prefix, delimiter, size) == expected(
        present, prefix, delimiter, None
    )


def test_more_than_a_thousand_keys_come_in_pages():
    bucket, wanted = Bucket(), [f"runs/{n:04d}" for n in range(1005)]
    for name in [*reversed(wanted), "other"]:
        bucket.keys[name] = Key(name)
    assert listing(S3Backend("aws", "123456789012"), bucket, "runs/") == wanted


def test_pages_start_after_a_name_and_have_folders(aws, bucket):
    for name in ("a/1", "a/2", "b/1", "c", "d/1"):
        put(aws, bucket, name)
    answer = aws.s3.list_objects_v2(Bucket=bucket, StartAfter="a/1")
    assert [one["Key"] for one in answer["Contents"]] == ["a/2", "b/1", "c", "d/1"]
    pages = aws.s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    found = [
        one.get("Prefix") or one.get("Key")
        for page in pages
        for one in page.get("CommonPrefixes", []) + page.get("Contents", [])
    ]
    assert found == ["a/", "b/", "c", "d/"]


def test_deleted_key_is_not_listed_and_can_come_back(aws, bucket):
    for _ in range(2):
        put(aws, bucket, "key")
        assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
        aws.s3.delete_object(Bucket=bucket, Key="key")
        assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
