import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from moto.s3.models import S3Backend
from werkzeug.test import Client

from embedded_aws import s3
from embedded_aws.server import Dispatcher

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, S=x"}
SIZES = [0, 1, 20_000_000]


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
    sent.write_bytes(os.urandom(26_000_000))
    settings = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)
    aws.s3.upload_file(str(sent), bucket, "key", Config=settings)
    aws.s3.download_file(bucket, "key", str(got), Config=settings)
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
    for number in range(10):
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


def test_missing_key_and_bucket_are_told_apart(aws, bucket):
    with pytest.raises(aws.s3.exceptions.NoSuchKey):
        get(aws, bucket, "absent")
    with pytest.raises(aws.s3.exceptions.NoSuchBucket):
        get(aws, "no-such-bucket", "absent")
    with pytest.raises(ClientError, match="404"):
        aws.s3.head_object(Bucket=bucket, Key="absent")
