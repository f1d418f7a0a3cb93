from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import SSLError
from botocore.httpsession import URLLib3Session

from benchmarks import aws_stub
from plumbing import aws_clients, upload
from plumbing.errors import LeaseLost
from plumbing.quick_put import QuickPuts

COUNT = upload.MANY + 10


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"é {number}.csv").write_bytes(b"x" * number)
    return folder


@pytest.fixture
def s3(cloud, aws_session, quick_retries):
    """The worker's own client; `s3.calls` are the PutObjects that boto3 itself made."""
    client = aws_clients.make_clients(aws_session).s3
    client.calls = watch(client)
    yield client
    client.close()


def watch(client):
    calls = []
    client.meta.events.register("before-call.s3.PutObject", lambda **_: calls.append(1))
    return calls


def send(s3, bucket, folder, check=lambda: None, **arguments):
    upload.send_all(s3, upload.items_of(folder, bucket, "out", arguments, print), check)


@pytest.fixture
def serve(s3, aws_session):
    """A stub of S3 with a fault in it, and a client for it."""
    stubs = []

    def start(fault):
        manager = aws_stub.serving(fault)
        stub = manager.__enter__()
        config = Config(signature_version="s3v4", retries={"total_max_attempts": 1})
        client = boto3.client("s3", endpoint_url=stub.url, config=config)
        stubs.append((manager, client))
        return stub, client, watch(client)

    yield start
    for manager, client in stubs:
        client.close()
        manager.__exit__(None, None, None)


def test_many_small_files_arrive_with_all_that_goes_along_without_a_call_of_boto3(
    cloud, s3, folder
):
    arguments = {"Metadata": {"by": "me"}, "StorageClass": "STANDARD_IA", "Tagging": "a=b"}

    send(s3, cloud.bucket, folder, **arguments)

    assert s3.calls == []
    assert sorted(cloud.names()) == sorted(f"out/é {n}.csv" for n in range(COUNT))
    key = f"out/é {COUNT - 1}.csv"
    assert cloud.read(key) == b"x" * (COUNT - 1)
    head = cloud.s3.head_object(Bucket=cloud.bucket, Key=key)
    assert head["ContentType"] == "text/csv"
    assert head["Metadata"] == {"by": "me"}
    assert head["StorageClass"] == "STANDARD_IA"
    assert cloud.s3.get_object_tagging(Bucket=cloud.bucket, Key=key)["TagSet"] == [
        {"Key": "a", "Value": "b"}
    ]


def test_few_files_go_over_the_connections_that_are_open_already(cloud, s3, folder):
    for path in list(folder.iterdir())[: COUNT - upload.MANY + 1]:
        path.unlink()

    send(s3, cloud.bucket, folder)

    assert len(s3.calls) == upload.MANY - 1


def test_what_is_no_plain_header_goes_through_boto3(cloud, s3, folder):
    send(s3, cloud.bucket, folder, Expires="Wed, 01 Jan 2031 00:00:00 GMT")

    assert len(s3.calls) == COUNT
    assert len(cloud.names()) == COUNT


def test_a_client_of_the_old_signature_goes_through_boto3(cloud, s3, folder, capfd):
    calls = watch(cloud.s3)

    send(cloud.s3, cloud.bucket, folder)

    assert len(calls) == COUNT
    assert len(cloud.names()) == COUNT
    assert capfd.readouterr().out.count("usual way") == 1


@pytest.mark.parametrize("status, code", [(403, "AccessDenied"), (307, "TemporaryRedirect")])
def test_after_a_refusal_all_others_go_through_boto3(serve, folder, capfd, status, code):
    refused = threading.Event()

    def fault(call):
        if call.number == 1:
            call.status, call.code = status, code
            refused.set()

    stub, client, calls = serve(fault)

    send(client, "bucket", folder)

    assert refused.is_set()
    assert len(stub.objects) == COUNT
    assert COUNT - upload.QUICK_CONNECTIONS <= len(calls) <= COUNT
    assert capfd.readouterr().out.count("usual way") == 1


def test_a_certificate_that_is_not_trusted_is_reported_once_without_the_signed_url(
    cloud, s3, folder, monkeypatch, capfd
):
    usual = URLLib3Session.send

    def refuse(self, request):
        if "X-Amz-Signature" in request.url:
            raise SSLError(endpoint_url=request.url, error="unknown issuer")
        return usual(self, request)

    monkeypatch.setattr(URLLib3Session, "send", refuse)

    send(s3, cloud.bucket, folder)

    said = capfd.readouterr().out
    assert said.count("usual way") == said.count("SSLError") == 1
    assert "X-Amz-" not in said
    assert len(cloud.names()) == COUNT


@pytest.mark.parametrize("trouble", ["503", "before", "after"])
def test_each_that_meets_trouble_is_sent_again(serve, folder, trouble):
    def fault(call):
        if call.number % 3 == 1:
            if trouble == "503":
                call.status, call.code = 503, "SlowDown"
            else:
                call.drop = trouble

    stub, client, calls = serve(fault)

    send(client, "bucket", folder)

    assert {len(body) for body in stub.objects.values()} == set(range(COUNT))
    assert len(stub.objects) == COUNT
    assert 0 < len(calls) < COUNT


def test_nothing_of_many_files_is_uploaded_after_a_lost_lease(cloud, s3, folder):
    def check():
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        send(s3, cloud.bucket, folder, check)
    assert cloud.names() == []


def test_a_lease_lost_in_the_middle_ends_it(cloud, s3, folder):
    asked = []

    def check():
        asked.append(1)
        if len(asked) > 20:
            raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        send(s3, cloud.bucket, folder, check)
    assert 0 < len(cloud.names()) <= 20


def signature_of(request, secret):
    """Return the signature that S3 computes for a presigned request from what it receives.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """
    url = urlsplit(request.url)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    query.pop("X-Amz-Signature")
    got = {name.lower(): value for name, value in request.headers.items()}
    got["host"] = url.netloc
    signed = query["X-Amz-SignedHeaders"].split(";")
    assert {name for name in got if name.startswith("x-amz-")} <= set(signed)
    canonical = [
        request.method,
        url.path,
        "&".join(f"{quote(k, '~')}={quote(v, '~')}" for k, v in sorted(query.items())),
        *(f"{name}:{got[name]}" for name in signed),
        "",
        query["X-Amz-SignedHeaders"],
        "UNSIGNED-PAYLOAD",
    ]
    scope = query["X-Amz-Credential"].partition("/")[2]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_s3_finds_the_signature_right_and_the_checksum_of_the_body(s3, monkeypatch):
    sent = []

    def take(self, request):
        sent.append(request)
        return AWSResponse(request.url, 200, {}, None)

    monkeypatch.setattr(URLLib3Session, "send", take)
    arguments = {
        "ACL": "bucket-owner-full-control",
        "ContentType": "text/csv",
        "Metadata": {"by": "me", "for": "you"},
        "RequestPayer": "requester",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "key",
        "Tagging": "a=b&c=d",
    }
    quick = QuickPuts(s3, 1)

    assert quick.put("bucket", "out/é + 1~(a).csv", b"123456789", arguments)

    (request,) = sent
    quick.close()
    assert parse_qs(urlsplit(request.url).query)["X-Amz-Signature"] == [
        signature_of(request, "test")
    ]
    # The check value of CRC-32/ISO-HDLC for these nine digits is cbf43926.
    crc = base64.b64encode(bytes.fromhex("cbf43926")).decode()
    assert request.headers["x-amz-checksum-crc32"] == crc
    assert request.headers["User-Agent"] == aws_clients.USER_AGENT
    assert request.body == b"123456789"
