from __future__ import annotations

import pytest

from plumbing import aws


@pytest.fixture
def clients(cloud, aws_session):
    made = aws.make_clients(aws_session)
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
    assert all(name.startswith(aws.USER_AGENT.encode()) for name in said)


def test_urls_are_signed_by_version_4_also_where_version_2_is_the_default(clients):
    assert clients.s3.meta.region_name == "us-east-1"

    url = clients.s3.generate_presigned_url("put_object", Params={"Bucket": "b", "Key": "k"})

    assert "X-Amz-Signature=" in url
