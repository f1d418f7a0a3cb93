import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError


@pytest.fixture
def queue(aws):
    return aws.sqs.create_queue(QueueName=aws.name("queue"))["QueueUrl"]


def send(aws, queue, *bodies, **changes):
    for body in bodies:
        aws.sqs.send_message(QueueUrl=queue, MessageBody=body, **changes)


def receive(aws, queue, count=1, wait=0, **changes):
    answer = aws.sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=count,
        WaitTimeSeconds=wait,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
        **changes,
    )
    return answer.get("Messages", [])


def counts(aws, queue):
    names = ["", "NotVisible", "Delayed"]
    answer = aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    return [int(answer[f"ApproximateNumberOfMessages{name}"]) for name in names]


def test_body_and_attributes_arrive_as_sent(aws, queue):
    attributes = {
        "job_id": {"DataType": "String", "StringValue": "äöü"},
        "submission": {"DataType": "Number", "StringValue": "1"},
    }
    send(aws, queue, '{"a": "ü/b"}', MessageAttributes=attributes)
    (message,) = receive(aws, queue)
    assert message["Body"] == '{"a": "ü/b"}'
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(message["Attributes"]["SentTimestamp"]) / 1000 - time.time()) < 100


def test_attributes_are_requested_by_name_and_not_lost_by_that(aws, queue):
    attributes = {"a": {"DataType": "String", "StringValue": "1"}}
    send(aws, queue, "x", MessageAttributes=attributes)
    one = aws.sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"][0]
    assert "MessageAttributes" not in one
    assert receive(aws, queue)[0]["MessageAttributes"] == attributes


def test_counts_are_exact_in_every_state(aws, queue):
    send(aws, queue, "a", "b", "c")
    send(aws, queue, "later", DelaySeconds=600)
    (first, _) = receive(aws, queue, 2)
    assert counts(aws, queue) == [1, 2, 1]
    aws.sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    assert counts(aws, queue) == [1, 1, 1]


def test_visibility_of_the_queue_is_used_unless_the_receive_names_one(aws):
    queue = aws.sqs.create_queue(
        QueueName=aws.name("queue"), Attributes={"VisibilityTimeout": "1"}
    )["QueueUrl"]
    send(aws, queue, "a")
    assert len(receive(aws, queue)) == 1
    assert len(receive(aws, queue, wait=5, VisibilityTimeout=100)) == 1
    assert receive(aws, queue) == []


def test_long_poll_wakes_when_a_message_is_sent(aws, queue):
    with ThreadPoolExecutor(1) as pool:
        polled = pool.submit(receive, aws, queue, wait=20)
        send(aws, queue, "a")
        assert len(polled.result(10)) == 1


def test_message_is_not_given_to_a_receiver_that_is_gone(aws, queue):
    signed = SigV4Auth(Credentials("k", "s"), "sqs", "us-east-1")
    body = json.dumps({"QueueUrl": queue, "WaitTimeSeconds": 20})
    headers = {
        "X-Amz-Target": "AmazonSQS.ReceiveMessage",
        "Content-Type": "application/x-amz-json-1.0",
    }
    request = AWSRequest("POST", aws.endpoint + "/", headers, body)
    signed.add_auth(request)
    connection = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"))
    connection.request("POST", "/", body, dict(request.headers))
    connection.close()
    send(aws, queue, "a")
    (message,) = receive(aws, queue, wait=5)
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_long_poll_ends_when_its_queue_is_deleted(aws, queue):
    with ThreadPoolExecutor(1) as pool:
        polled = pool.submit(receive, aws, queue, wait=20)
        aws.sqs.delete_queue(QueueUrl=queue)
        with pytest.raises(aws.sqs.exceptions.QueueDoesNotExist):
            polled.result(10)


def test_long_poll_of_an_empty_queue_gives_nothing_in_the_end(aws, queue):
    assert receive(aws, queue, wait=1) == []


def test_batches_change_and_delete_each_message_by_itself(aws, queue):
    send(aws, queue, "a", "b")
    first, second = receive(aws, queue, 2)
    answer = aws.sqs.change_message_visibility_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "1", "ReceiptHandle": first["ReceiptHandle"], "VisibilityTimeout": 0},
            {"Id": "2", "ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
            {"Id": "3", "ReceiptHandle": second["ReceiptHandle"], "VisibilityTimeout": 43201},
        ],
    )
    assert [one["Id"] for one in answer["Successful"]] == ["1"]
    assert [one["Id"] for one in answer["Failed"]] == ["2", "3"]
    assert counts(aws, queue) == [1, 1, 0]
    answer = aws.sqs.delete_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "1", "ReceiptHandle": first["ReceiptHandle"]},
            {"Id": "2", "ReceiptHandle": "nonsense"},
        ],
    )
    assert [one["Id"] for one in answer["Successful"]] == ["1"]
    assert [one["Code"] for one in answer["Failed"]] == ["ReceiptHandleIsInvalid"]
    assert counts(aws, queue) == [0, 1, 0]


def test_stale_handle_works_until_the_message_is_deleted(aws, queue):
    send(aws, queue, "a")
    (old,) = receive(aws, queue, VisibilityTimeout=0)
    (new,) = receive(aws, queue)
    assert new["Attributes"]["ApproximateReceiveCount"] == "2"
    handle = old["ReceiptHandle"]
    assert handle != new["ReceiptHandle"]
    aws.sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=60)
    aws.sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    aws.sqs.delete_message(QueueUrl=queue, ReceiptHandle=new["ReceiptHandle"])
    with pytest.raises(ClientError, match="Message does not exist or is not available"):
        aws.sqs.change_message_visibility(
            QueueUrl=queue, ReceiptHandle=new["ReceiptHandle"], VisibilityTimeout=60
        )


def test_message_goes_to_the_dead_letter_queue_after_its_receives(aws):
    dead = aws.sqs.create_queue(QueueName=aws.name("dead"))["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": arn["Attributes"]["QueueArn"], "maxReceiveCount": "2"}
    queue = aws.sqs.create_queue(
        QueueName=aws.name("queue"), Attributes={"RedrivePolicy": json.dumps(policy)}
    )["QueueUrl"]
    send(aws, queue, "a", MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}})
    for _ in range(2):
        assert len(receive(aws, queue, VisibilityTimeout=0)) == 1
    assert receive(aws, queue) == []
    assert (counts(aws, queue), counts(aws, dead)) == ([0, 0, 0], [1, 0, 0])
    (message,) = receive(aws, dead)
    assert (message["Body"], message["MessageAttributes"]["k"]["StringValue"]) == ("a", "v")


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([{"Id": str(n), "MessageBody": "x"} for n in range(11)], "TooManyEntries"),
        ([{"Id": "1", "MessageBody": "x"}] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)], "BatchRequestTooLong"),
    ],
    ids=["eleven", "same id twice", "over 1 MiB"],
)
def test_batch_limits_hold(aws, queue, entries, code):
    with pytest.raises(ClientError, match=code):
        aws.sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert counts(aws, queue) == [0, 0, 0]


def test_message_of_one_mebibyte_is_the_largest(aws, queue):
    send(aws, queue, "x" * 2**20)
    assert len(receive(aws, queue)[0]["Body"]) == 2**20
    with pytest.raises(ClientError, match="1048576 bytes"):
        send(aws, queue, "x" * (2**20 + 1))


def test_purge_empties_the_queue_once_a_minute(aws, queue):
    send(aws, queue, "a", "b")
    receive(aws, queue)
    aws.sqs.purge_queue(QueueUrl=queue)
    assert counts(aws, queue) == [0, 0, 0]
    with pytest.raises(aws.sqs.exceptions.PurgeQueueInProgress):
        aws.sqs.purge_queue(QueueUrl=queue)


def test_queue_is_made_again_only_with_the_same_attributes(aws):
    name, attributes = aws.name("queue"), {"VisibilityTimeout": "60"}
    first = aws.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    send(aws, first, "a")
    assert aws.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"] == first
    assert counts(aws, first) == [1, 0, 0]
    with pytest.raises(aws.sqs.exceptions.QueueNameExists):
        aws.sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "61"})


def test_missing_queue_is_named_as_missing(aws):
    with pytest.raises(aws.sqs.exceptions.QueueDoesNotExist):
        aws.sqs.get_queue_url(QueueName="absent")


def test_queue_with_a_fifo_name_is_refused_with_the_reason(aws):
    with pytest.raises(ClientError, match="standard queues only"):
        aws.sqs.create_queue(QueueName="a.fifo", Attributes={"FifoQueue": "true"})


def test_many_receivers_over_http_lose_and_double_nothing(aws, queue):
    count, done, lock = 150, [], threading.Lock()
    for first in range(0, count, 10):
        entries = [{"Id": str(n), "MessageBody": str(first + n)} for n in range(10)]
        aws.sqs.send_message_batch(QueueUrl=queue, Entries=entries)

    def work():
        while messages := receive(aws, queue, 3):
            for message in messages:
                with lock:
                    done.append(message["Body"])
                handle = message["ReceiptHandle"]
                aws.sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done, key=int) == [str(n) for n in range(count)]
    assert counts(aws, queue) == [0, 0, 0]
