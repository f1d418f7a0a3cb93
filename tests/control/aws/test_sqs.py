"""The job queue and the dead-letter queue; what SQS refuses and what it takes later."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from control.aws import sqs
from control.aws.sqs import Counts, delete_queue, ensure_queues, queue_counts, send_batch
from control.config import load_config

TAGS = {"distributed-something": "Test"}


@pytest.fixture
def config(write_config):
    return load_config(write_config(SQS_MESSAGE_VISIBILITY=90, JOB_RETRIES=4))


def attributes(aws, url):
    return aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_both_queues_are_made_and_keep_messages_for_14_days(aws, config):
    url, dead_url = ensure_queues(aws.sqs, config, TAGS)
    job, dead = attributes(aws, url), attributes(aws, dead_url)
    assert url.endswith("/TestQueue") and dead_url.endswith("/Test_DeadMessages")
    assert job["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == "1209600"
    assert job["VisibilityTimeout"] == "90"
    assert job["ReceiveMessageWaitTimeSeconds"] == "20"
    redrive = json.loads(job["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    # SQS's own redrive stays far above the attempts that the worker counts.
    assert int(redrive["maxReceiveCount"]) > 4 * 10


def test_ensure_again_changes_the_job_queue_and_leaves_messages(aws, config, write_config):
    first = ensure_queues(aws.sqs, config, TAGS)
    aws.sqs.send_message(QueueUrl=first[0], MessageBody="x")
    changed = load_config(write_config(SQS_MESSAGE_VISIBILITY=300))
    assert ensure_queues(aws.sqs, changed, TAGS) == first
    assert attributes(aws, first[0])["VisibilityTimeout"] == "300"
    assert queue_counts(aws.sqs, first[0]) == Counts(visible=1, in_flight=0, delayed=0)


def test_queues_carry_their_tags_and_a_job_queue_those_of_the_newest_run(aws, config):
    for tags in (TAGS, {"distributed-something": "Test", "run": "2"}):
        urls = ensure_queues(aws.sqs, config, tags)
        assert aws.sqs.list_queue_tags(QueueUrl=urls[0])["Tags"] == tags
    assert aws.sqs.list_queue_tags(QueueUrl=urls[1])["Tags"] == TAGS


def test_a_shared_dead_letter_queue_is_left_as_it_is(aws, config):
    made = aws.sqs.create_queue(
        QueueName="Test_DeadMessages", Attributes={"MessageRetentionPeriod": "3600"}
    )
    assert ensure_queues(aws.sqs, config, TAGS)[1] == made["QueueUrl"]
    assert attributes(aws, made["QueueUrl"])["MessageRetentionPeriod"] == "3600"


def test_a_queue_that_is_gone_is_no_error(aws, config):
    url, _ = ensure_queues(aws.sqs, config, TAGS)
    delete_queue(aws.sqs, url)
    delete_queue(aws.sqs, url)
    assert queue_counts(aws.sqs, url) is None
    assert sqs.queue_url(aws.sqs, "TestQueue") is None


def test_messages_in_flight_and_delayed_are_counted_apart(aws, config):
    url, _ = ensure_queues(aws.sqs, config, TAGS)
    for delay in (0, 0, 60):
        aws.sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    aws.sqs.receive_message(QueueUrl=url)
    counts = queue_counts(aws.sqs, url)
    assert counts == Counts(visible=1, in_flight=1, delayed=1)
    assert counts.total == 3


def refusing_to_create(times, code="AWS.SimpleQueueService.QueueDeletedRecently"):
    """Return an SQS without queues that refuses the job queue's name this many times."""
    sqs = boto3.client("sqs", region_name="us-east-1")
    stub = Stubber(sqs)
    missing = "AWS.SimpleQueueService.NonExistentQueue"
    stub.add_response("get_queue_url", {"QueueUrl": "http://dead"})
    stub.add_response("get_queue_attributes", {"Attributes": {"QueueArn": "arn:dead"}})
    stub.add_client_error("get_queue_url", missing)
    for _ in range(times):
        stub.add_client_error("create_queue", code)
    stub.add_response("create_queue", {"QueueUrl": "http://jobs"})
    stub.activate()
    return sqs


def test_a_name_that_is_blocked_after_a_deletion_is_waited_for(config):
    waits = []
    made = ensure_queues(refusing_to_create(3), config, TAGS, wait=waits.append)
    assert made == ("http://jobs", "http://dead")
    assert waits == [5, 5, 5]


def test_a_name_that_stays_blocked_is_explained(config):
    with pytest.raises(ClientError, match="QueueDeletedRecently"):
        ensure_queues(refusing_to_create(30), config, TAGS, wait=lambda seconds: None)


def test_another_refusal_is_not_waited_for(config):
    with pytest.raises(ClientError):
        ensure_queues(refusing_to_create(1, "AccessDenied"), config, TAGS, wait=pytest.fail)


def entries(count):
    return [{"MessageBody": f"body {i}"} for i in range(count)]


def bodies(stub):
    return sorted(message["MessageBody"] for message in stub.messages)


def test_what_sqs_could_not_take_is_sent_again_and_only_that(stub_aws):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number <= 2:
            call.refuse[0] = ("InternalError", False)

    stub, clients, run = stub_aws(fault)
    waits = []
    assert send_batch(clients.sqs, run.queue_url, entries(3), waits.append) == {}
    assert bodies(stub) == ["body 0", "body 1", "body 2"]
    assert waits == [0.2, 0.5]


def test_what_the_sender_did_wrong_is_returned_by_its_index(stub_aws):
    def fault(call):
        if call.operation == "SendMessageBatch" and call.number == 1:
            call.refuse = {0: ("InternalError", False), 2: ("InvalidMessageContents", True)}

    stub, clients, run = stub_aws(fault)
    refused = send_batch(clients.sqs, run.queue_url, entries(4), lambda seconds: None)
    assert list(refused) == [2]
    assert "InvalidMessageContents" in refused[2]
    assert bodies(stub) == ["body 0", "body 1", "body 3"]


def test_messages_that_sqs_never_accepts_are_refused_after_a_minute(stub_aws):
    def fault(call):
        if call.operation == "SendMessageBatch":
            call.refuse = {len(call.entries) - 1: ("InternalError", False)}

    stub, clients, run = stub_aws(fault)
    waits = []
    refused = send_batch(clients.sqs, run.queue_url, entries(2), waits.append)
    assert list(refused) == [1] and "InternalError" in refused[1]
    assert 30 < sum(waits) < 90
    assert bodies(stub) == ["body 0"]
