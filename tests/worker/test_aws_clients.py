from __future__ import annotations

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from plumbing import aws_clients


@pytest.fixture
def clients(cloud, aws_session):
    made = aws_clients.make_clients(aws_session)
    yield made
    for client in vars(made).values():
        client.close()


def test_every_request_says_that_the_worker_sends_it(cloud, clients):
    said = []
    for client in vars(clients).values():
        client.meta.events.register(
            "before-send", lambda request, **_: said.append(request.headers["User-Agent"])
        )

    clients.s3.list_objects_v2(Bucket=cloud.bucket)
    clients.s3_of_jobs.list_objects_v2(Bucket=cloud.bucket)
    clients.sqs.list_queues()
    clients.receiver.list_queues()

    assert len(said) == 4
    assert all(name.startswith(aws_clients.USER_AGENT.encode()) for name in said)


def test_only_the_body_of_a_file_waits_for_leave_to_be_sent(cloud, clients, tmp_path):
    asked = []
    clients.s3.meta.events.register(
        "before-send", lambda request, **_: asked.append(request.headers.get("Expect"))
    )
    path = tmp_path / "large"
    path.write_bytes(b"of a file")

    clients.s3.put_object(Bucket=cloud.bucket, Key="small", Body=b"in memory")
    with path.open("rb") as file:
        clients.s3.put_object(Bucket=cloud.bucket, Key="large", Body=file)

    assert asked == [None, b"100-continue"]
    for key, body in (("small", b"in memory"), ("large", b"of a file")):
        assert cloud.s3.get_object(Bucket=cloud.bucket, Key=key)["Body"].read() == body


def test_urls_are_signed_by_version_4_also_where_version_2_is_the_default(clients):
    assert clients.s3.meta.region_name == "us-east-1"

    url = clients.s3.generate_presigned_url("put_object", Params={"Bucket": "b", "Key": "k"})

    assert "X-Amz-Signature=" in url


SESSION = b"""<CreateSessionResult><Credentials><AccessKeyId>OfSession</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>"""


class Raw:
    """The body of an answer, as urllib3 gives it."""

    def __init__(self, body):
        self.body = body

    def stream(self, *_, **__):
        yield self.body


def test_a_directory_bucket_is_signed_for_by_its_own_session(aws_environment, monkeypatch):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html"""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    s3 = aws_clients.make_clients(boto3.Session(region_name="us-east-1")).s3
    signed = []

    def answer(request, **_):
        signed.append(request.headers["Authorization"].decode())
        return AWSResponse(request.url, 200, {}, Raw(SESSION if "?session" in request.url else b""))

    s3.meta.events.register("before-send.s3", answer)
    where = {"Bucket": "name--use1-az4--x-s3", "Key": "k"}

    s3.put_object(**where, Body=b"x")
    url = s3.generate_presigned_url("put_object", Params=where)

    assert len(signed) == 2
    assert "Credential=OfSession/" in signed[1]
    assert "X-Amz-S3session-Token=token" in url
    s3.close()
