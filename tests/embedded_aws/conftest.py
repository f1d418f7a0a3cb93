"""One server for all tests that only need AWS, and what sets up machines with tasks on it."""

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from embedded_aws import running

# Does what the variable MODE of its task definition says.
WORKER = """
import os, signal, subprocess, sys, time, urllib.request
mode = os.environ.get("MODE", "loop")
def end(number, frame):
    time.sleep(0.2)
    print("got SIGTERM", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else end)
print("hello from", mode, flush=True)
if mode == "exit":
    sys.exit(3)
if mode == "fork":
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    print("child", child.pid, flush=True)
if mode == "protect":
    uri = os.environ["ECS_AGENT_URI"] + "/task-protection/v1/state"
    body = b'{"ProtectionEnabled": true, "ExpiresInMinutes": 60}'
    request = urllib.request.Request(uri, body, method="PUT")
    print("protected", urllib.request.urlopen(request, timeout=10).read().decode(), flush=True)
while True:
    time.sleep(0.05)
"""
ROOT = Path(__file__).parents[2]


def wait_for(condition, seconds=30.0):
    """Poll until the condition returns something true; return it."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {condition}"
        time.sleep(0.02)


@pytest.fixture(scope="session", name="wait_for")
def wait_for_fixture():
    return wait_for


@pytest.fixture(scope="session", autouse=True)
def no_aws_settings():
    """Hide the AWS settings of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def worker_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worker")
    (folder / "generic-worker.py").write_text(WORKER)
    return folder


class AWS:
    """The clients of one server."""

    names = itertools.count()

    def __init__(self, endpoint, environment, pid, state):
        self.endpoint, self.environment, self.pid, self.state = endpoint, environment, pid, state

    def client(self, service, **changes):
        """Return a client that tries only once, so that errors show at once."""
        settings = Config(
            max_pool_connections=100, retries={"total_max_attempts": 1}, read_timeout=60
        )
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.environment["AWS_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            **{"config": settings, **changes},
        )

    def name(self, prefix):
        """Return a new name."""
        return f"{prefix}-{next(self.names)}"

    s3 = cached_property(lambda self: self.client("s3"))
    sqs = cached_property(lambda self: self.client("sqs"))
    ec2 = cached_property(lambda self: self.client("ec2"))
    ecs = cached_property(lambda self: self.client("ecs"))
    logs = cached_property(lambda self: self.client("logs"))
    ssm = cached_property(lambda self: self.client("ssm"))


@pytest.fixture(scope="session")
def aws(worker_folder, tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    with running(worker_folder, state, grace=2.0) as embedded:
        yield AWS(embedded.endpoint, embedded.environment, embedded.pid, state)
    assert "Traceback" not in embedded.log.read_text()


class App:
    """Everything that one application needs, on machines and a cluster of its own."""

    def __init__(self, aws):
        self.aws = aws
        self.name = aws.name("app")
        aws.logs.create_log_group(logGroupName=self.name)
        aws.ecs.create_cluster(clusterName=self.name)
        self.subnet = aws.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.fleets = []

    def register(self, mode="loop", **changes):
        """Register a task definition whose worker does what `mode` says."""
        container = {
            "name": "worker",
            "image": "some/image",
            "cpu": 1024,
            "memory": 3000,
            "stopTimeout": 1,
            "environment": [{"name": "MODE", "value": mode}],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": self.name,
                    "awslogs-region": "us-east-1",
                    "awslogs-stream-prefix": "app",
                },
            },
            **changes,
        }
        answer = self.aws.ecs.register_task_definition(
            family=self.name, containerDefinitions=[container]
        )
        return answer["taskDefinition"]["taskDefinitionArn"]

    def serve(self, desired, mode="loop", **changes):
        """Create the service."""
        return self.aws.ecs.create_service(
            cluster=self.name,
            serviceName=self.name,
            taskDefinition=self.register(mode),
            desiredCount=desired,
            deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 200},
            placementConstraints=[
                {"type": "memberOf", "expression": f"attribute:app == {self.name}"}
            ],
            placementStrategy=[{"type": "binpack", "field": "memory"}],
            propagateTags="SERVICE",
            tags=[{"key": "app", "value": self.name}],
            **changes,
        )["service"]

    def scale(self, desired):
        self.aws.ecs.update_service(cluster=self.name, service=self.name, desiredCount=desired)

    def template(self, **changes):
        """Create a launch template; `changes` replace parts of its data."""
        user_data = (
            "#!/bin/bash\ncat <<'EOF' >> /etc/ecs/ecs.config\n"
            f"ECS_CLUSTER={self.name}\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n"
            f'ECS_INSTANCE_ATTRIBUTES={{"app": "{self.name}"}}\nEOF\n'
        )
        parameter = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
        data = {
            "ImageId": self.aws.ssm.get_parameter(Name=parameter)["Parameter"]["Value"],
            "UserData": base64.b64encode(user_data.encode()).decode(),
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": self.name}]}
            ],
            **changes,
        }
        answer = self.aws.ec2.create_launch_template(
            LaunchTemplateName=self.aws.name("template"), LaunchTemplateData=data
        )
        return answer["LaunchTemplate"]["LaunchTemplateId"]

    def config(self, target, template=None, override=None, **changes):
        """Return a SpotFleetRequestConfig."""
        override = override or {"InstanceType": "m5.large", "SubnetId": self.subnet}
        specification = {"LaunchTemplateId": template or self.template(), "Version": "$Latest"}
        return {
            "IamFleetRole": "arn:aws:iam::123456789012:role/fleet",
            "TargetCapacity": target,
            "AllocationStrategy": "priceCapacityOptimized",
            "Type": "maintain",
            "TagSpecifications": [
                {
                    "ResourceType": "spot-fleet-request",
                    "Tags": [{"Key": "app", "Value": self.name}],
                }
            ],
            "LaunchTemplateConfigs": [
                {"LaunchTemplateSpecification": specification, "Overrides": [override]}
            ],
            **changes,
        }

    def request(self, target, **changes):
        """Request a fleet; return its id."""
        answer = self.aws.ec2.request_spot_fleet(
            SpotFleetRequestConfig=self.config(target, **changes)
        )
        self.fleets.append(answer["SpotFleetRequestId"])
        return self.fleets[-1]

    def fleet(self):
        answer = self.aws.ec2.describe_spot_fleet_requests(SpotFleetRequestIds=self.fleets[-1:])
        return answer["SpotFleetRequestConfigs"][0]

    def service(self, **changes):
        return self.aws.ecs.describe_services(cluster=self.name, services=[self.name], **changes)[
            "services"
        ][0]

    def tasks(self, status="RUNNING"):
        """Describe the tasks that are meant to be in this status."""
        arns = self.aws.ecs.list_tasks(cluster=self.name, desiredStatus=status)["taskArns"]
        if not arns:
            return []
        return self.aws.ecs.describe_tasks(cluster=self.name, tasks=arns, include=["TAGS"])["tasks"]

    def up(self, machines, desired, mode="loop"):
        """Make fleet and service and wait until all tasks run; return their ARNs."""
        self.serve(desired, mode)
        self.request(machines)
        wait_for(lambda: self.service()["runningCount"] == desired)
        return [task["taskArn"] for task in self.tasks()]

    def output(self, task):
        """Return the output of a task so far."""
        path = self.aws.state / "tasks" / task.rsplit("/", 1)[-1] / "log.txt"
        return path.read_text() if path.exists() else ""

    def end(self):
        """End its machines."""
        if self.fleets:
            self.aws.ec2.cancel_spot_fleet_requests(
                SpotFleetRequestIds=self.fleets, TerminateInstances=True
            )


@pytest.fixture
def app(aws):
    app = App(aws)
    yield app
    app.end()


@pytest.fixture(scope="session")
def running_app(aws):
    """Two tasks on two machines, for tests that leave them as they are."""
    app = App(aws)
    app.tasks_up = app.up(2, 2)
    yield app
    app.end()


@pytest.fixture
def start_server(worker_folder, tmp_path):
    """Start a server of the test's own, by its command line."""
    processes = []

    def start(*arguments):
        command = [sys.executable, "-m", "embedded_aws", "--worker", str(worker_folder)]
        state = tmp_path / f"state-{len(processes)}"
        process = subprocess.Popen(
            [*command, "--state", str(state), "--grace", "2", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        processes.append(process)
        line = process.stdout.readline()
        if not line:
            return process, None
        answer = json.loads(line)
        return process, AWS(answer["endpoint"], answer["environment"], process.pid, state)

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
