"""AWS on loopback for the worker's tests: a moto server in a process of its own, and a fresh
bucket and queue for every test."""

from __future__ import annotations

import base64
import gzip
import http.server
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from plumbing import process_tree, retrying, worker
from plumbing.aws_clients import make_session
from plumbing.lease import boot_clock
from plumbing.machine import Identity
from plumbing.settings import read_settings
from plumbing.shared_state import SharedState
from plumbing.stop_flag import StopFlag
from plumbing.worker import Crew, Worker

WORKER = Path(__file__).resolve().parents[2] / "worker"
_SERVER = """
import threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
threading.Event().wait()
"""
RUN_ID = "20260101T000000Z"
RUN = f"runs/App/{RUN_ID}/"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def aws_url():
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=process_tree.die_with_parent,
    )
    yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    server.kill()
    server.wait()
    server.stdout.close()


@pytest.fixture
def aws_environment(aws_url, monkeypatch, tmp_path):
    """Cuts the test off from any AWS settings of the developer's own."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "ECS_")):
            monkeypatch.delenv(name)
    values = {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@dataclass
class Cloud:
    """One test's bucket and queues, and the questions that tests ask about them."""

    s3: object
    sqs: object
    bucket: str
    queue_url: str
    dead_url: str
    settings: dict = field(default_factory=dict)
    run: str = RUN

    def send(self, group, attributes=(), **shared):
        """Send a job, with attributes by name; returns what its body was."""
        body = json.dumps({**shared, "group": group})
        self.send_body(body, **dict(attributes))
        return body

    def send_body(self, body, **attributes):
        values = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        }
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body, MessageAttributes=values)

    def receive(self, seconds=5, visibility=60):
        """Receive the next message as the worker would."""
        answer = self.sqs.receive_message(
            QueueUrl=self.queue_url,
            WaitTimeSeconds=seconds,
            VisibilityTimeout=visibility,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
        )
        return answer["Messages"][0]

    def names(self, prefix=""):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def states(self, what):
        """Return the ends of the names below records/ or attempts/, such as done.json."""
        return sorted(key.split(".", 1)[1] for key in self.names(f"{self.run}{what}/"))

    def read(self, key):
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def record(self, state, what="records"):
        """Return the only record (or attempt) of a state."""
        (key,) = [k for k in self.names(f"{self.run}{what}/") if k.endswith(f".{state}.json")]
        return json.loads(self.read(key))

    def log(self, record):
        """Return the log of a record or attempt, from where its log_key says it is."""
        content = self.read(record["log_key"])
        if record["log_key"].endswith(".json"):
            content = gzip.decompress(base64.b64decode(json.loads(content)["log"]))
        return content.decode()

    def waiting(self):
        """Return how many messages are visible, and how many are in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        values = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        return tuple(int(values["Attributes"][name]) for name in names)

    def dead_letters(self):
        answer = self.sqs.receive_message(
            QueueUrl=self.dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return answer.get("Messages", [])


@pytest.fixture
def cloud(aws_environment, tmp_path):
    config = Config(s3={"addressing_style": "path"})
    s3, sqs = boto3.client("s3", config=config), boto3.client("sqs")
    number = next(_NUMBERS)
    bucket = f"bucket-{os.getpid()}-{number}"
    s3.create_bucket(Bucket=bucket)
    queue = sqs.create_queue(QueueName=f"Queue{number}", Attributes={"VisibilityTimeout": "60"})
    dead = sqs.create_queue(QueueName=f"Dead{number}")
    cloud = Cloud(s3, sqs, bucket, queue["QueueUrl"], dead["QueueUrl"])
    cloud.settings = {
        "SQS_QUEUE_URL": cloud.queue_url,
        "SQS_DEAD_LETTER_QUEUE": f"Dead{number}",
        "AWS_BUCKET": bucket,
        "APP_NAME": "App",
        "RUN_ID": RUN_ID,
        "AWS_REGION": "us-east-1",
        "SQS_MESSAGE_VISIBILITY": "60",
        "WORK_FOLDER": str(tmp_path / "work"),
    }
    yield cloud
    s3.close()
    sqs.close()


@pytest.fixture(scope="session")
def aws_session():
    """Reading botocore's descriptions of the services takes longer than most tests."""
    return make_session("us-east-1")


@pytest.fixture
def make_worker(cloud, tmp_path, aws_session):
    """Makes a worker of this very process for a run_job; settings may be added."""
    made = []

    def make(run_job, prefix=lambda job: f"out/{job.name}", protect=lambda: None, **settings):
        crew = Crew(
            read_settings({**cloud.settings, **settings}),
            aws_session,
            tmp_path,
            Identity("i-0123456789", "m5.large"),
            SharedState(1),
            prefix,
            run_job,
        )
        one = Worker(crew, len(made), StopFlag())
        one.protect = protect
        made.append(one)
        return one

    yield make
    for one in made:
        one.fork_server.close()
        one.stop.close()
        for client in vars(one.clients).values():
            client.close()


@pytest.fixture
def quick_retries(monkeypatch):
    """Makes the pauses before retries of requests to AWS short."""
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.05)


@pytest.fixture
def attend(cloud):
    """Lets a worker receive one message and attend to it."""

    def attend_next(one, seconds=5):
        asked = boot_clock()
        visibility = one.settings.visibility
        one.fork_server.refresh()
        return worker.attend(one, cloud.receive(seconds, visibility), asked)

    return attend_next


@pytest.fixture
def start_container(cloud, tmp_path):
    """Starts generic-worker.py, or another one, as ECS would; stops what is left at the end."""
    started = []

    def start(script=WORKER / "generic-worker.py", **settings):
        environ = {**os.environ, **cloud.settings, "PYTHONPATH": str(WORKER), **settings}
        path = tmp_path / f"container-{len(started)}.txt"
        with open(path, "wb") as output:
            container = subprocess.Popen(
                [sys.executable, str(script)],
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=tmp_path,
                preexec_fn=process_tree.die_with_parent,
            )
        container.output = path
        started.append(container)
        return container

    yield start
    for container in started:
        if container.poll() is None:
            container.send_signal(signal.SIGKILL)
        container.wait()


@pytest.fixture
def metadata_service():
    """An instance metadata service, IMDSv2 only, with texts by path and a count of tokens."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            self.server.tokens += 1
            self._answer(200, f"token-{self.server.tokens}")

        def do_GET(self):
            token = self.headers.get("X-aws-ec2-metadata-token")
            if token != f"token-{self.server.tokens}":
                self._answer(401, "")
                return
            text = self.server.paths.get(self.path.split("/latest/meta-data/")[1])
            self._answer(404 if text is None else 200, text or "")

        def _answer(self, status, text):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.tokens = 0
    server.paths = {"instance-id": "i-1", "instance-type": "m5.large"}
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    server.environ = {
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.server_port}/"
    }
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def until():
    """Wait until a condition holds; fail if it does not within `seconds`."""

    def wait(condition, seconds=20.0, pause=0.05):
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, f"{condition} did not come to hold"
            time.sleep(pause)

    return wait
