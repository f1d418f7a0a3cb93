"""Fixtures for all tests: no AWS settings of the developer, a config.py, an AWS in memory."""

import dataclasses
import functools
import itertools
import os
import random
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
import botocore.session
import pytest
from moto import mock_aws
from xdist.scheduler import LoadFileScheduling

import embedded_aws
from benchmarks import aws_stub
from control.aws.session import AWS
from control.checks import image
from control.config import Config, load_config
from control.model import FleetEntry, Run
from control.records import store
from control.verbs import setup, setup_aws
from control.verbs.local import local
from tests.injection import Injection

ROOT = Path(__file__).parent.parent
BUCKET = "test-bucket"
# A pace for runs of a few short jobs on the AWS on this computer.
QUICK = dataclasses.replace(local.PACE, poll=0.3, settle=0.6, spare=0.3, refuse=2)
VALUES = {
    "APP_NAME": "Test",
    "DOCKERHUB_TAG": "somebody/image:1",
    "AWS_REGION": "us-east-1",
    "AWS_BUCKET": BUCKET,
    "CLUSTER_MACHINES": 2,
    "MACHINE_TYPE": ["m5.xlarge"],
    "DOCKER_CORES": 2,
    "CPU_SHARES": 2048,
    "MEMORY": 4000,
}


# Each test makes its own sessions, and each session would read the descriptions of its services
# again: a sixth of all the processor time of the tests. So all share one loader, as the clients of
# one session do; moto, which adds to what it reads, has its own.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


_NEEDS_PACKAGES = {"containers", "with_programs"}


class _ByFile(LoadFileScheduling):
    """All that need containers are one file, as they share an engine and its images."""

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return "tests/containers" if file.startswith("tests/containers/") else file


def pytest_addoption(parser):
    parser.addoption(
        "--every-point",
        action="store_true",
        help="only the tests that `make test` leaves out or does by sample, at every point",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_root: does what only root may do: make test-all")


def pytest_collection_modifyitems(config, items):
    """Leave out what only root may do; with --every-point all but what `make test` leaves out."""
    system = [i for i in items if _NEEDS_PACKAGES & set(i.path.parts)]
    root = [i for i in items if i.get_closest_marker("needs_root")]
    if config.getoption("--every-point"):
        # What takes longest comes first.
        chosen = [*system, *root, *(i for i in items if "sample" in i.fixturenames)]
    else:
        chosen = [i for i in items if i not in root]
    left_out = set(items) - set(chosen)
    config.hook.pytest_deselected(items=[i for i in items if i in left_out])
    items[:] = chosen


@pytest.fixture
def sample(request):
    """Choose some of the points at which something is to break: always the same ones of a test.

    With --every-point all are chosen.
    """

    def choose(points, number):
        points = list(points)
        if request.config.getoption("--every-point") or number >= len(points):
            return points
        return sorted(random.Random(request.node.name).sample(points, number))

    return choose


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Return three processes for two processors, since tests wait a quarter of their time."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Run the tests of a file in one process, which makes once what they share.

    Not by xdist's groups, which pytest 9.2 silently ignores
    (https://github.com/pytest-dev/pytest-xdist/issues/1386).
    """
    return _ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def no_aws_of_the_developer(monkeypatch, tmp_path_factory):
    """Fake keys, no files, no machine's role: nothing here can reach an account."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "EMBEDDED_AWS")):
            monkeypatch.delenv(name)
    nowhere = str(tmp_path_factory.getbasetemp() / "no-such-file")
    monkeypatch.setenv("AWS_CONFIG_FILE", nowhere)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Nor Docker Hub: nobody listens on this port.
    monkeypatch.setattr(image, "HUB", "http://127.0.0.1:9")


@pytest.fixture
def write_config(tmp_path):
    """Writes a valid config.py, with changes; see `write_config_in`."""
    return functools.partial(write_config_in, tmp_path)


def write_config_in(folder, text="", **changes):
    """Write a valid config.py, with changes; ... leaves a setting out, `text` is added as is."""
    values = {k: v for k, v in {**VALUES, **changes}.items() if v is not ...}
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    path = folder / "config.py"
    path.write_text("\n".join([*lines, text, ""]), encoding="utf-8")
    return path


@pytest.fixture
def aws():
    """An AWS in memory, by moto, with one bucket."""
    with mock_aws():
        clients = AWS(boto3.Session(region_name="us-east-1"))
        clients.s3.create_bucket(Bucket=BUCKET)
        yield clients


def config_of(**changes):
    """Return a Config of VALUES with changes."""
    values = {**VALUES, **changes}
    return Config(**{**values, "MACHINE_TYPE": tuple(values["MACHINE_TYPE"])})


def entry_of(**changes):
    """Return a fleet as run.json holds it."""
    known = {"template": "t", "template_data": {}, "request": {}, "target": 1, "requested": ""}
    return FleetEntry(**{**known, **changes})


def new_run(queue_url=""):
    """Return a run that was just set up."""
    return Run(
        app_name="Test",
        run_id="20260101T000000Z",
        bucket=BUCKET,
        region="us-east-1",
        account="123456789012",
        owner="me",
        config=config_of(),
        queue_url=queue_url,
    )


@pytest.fixture
def run(aws):
    """A run on the AWS in memory, with its queue."""
    queue_url = aws.sqs.create_queue(QueueName="TestQueue")["QueueUrl"]
    return store.create(aws.s3, new_run(queue_url))


@pytest.fixture
def stub_aws(monkeypatch):
    """Starts SQS and S3 that refuse and break as told: (stub, clients, run)."""
    with ExitStack() as stack:

        def start(fault=None, latency=0):
            stub = stack.enter_context(aws_stub.serving(fault, latency))
            monkeypatch.setenv("AWS_ENDPOINT_URL", stub.url)
            clients = AWS(boto3.Session(region_name="us-east-1"))
            stack.callback(clients.sqs.close)
            stack.callback(clients.s3.close)
            run = store.create(clients.s3, new_run(f"{stub.url}/123456789012/TestQueue"))
            return stub, clients, run

        yield start


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory):
    """AWS on this computer, with the template's own worker, for all tests."""
    state = tmp_path_factory.mktemp("embedded")
    with embedded_aws.running(worker_folder=ROOT / "worker", state_folder=state) as server:
        yield server


@contextmanager
def leading_to(server):
    """Let os.environ lead only to this AWS on this computer within the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def breakable(embedded_server):
    """Clients of the AWS on this computer whose calls can be made to fail: (clients, injection)."""
    with leading_to(embedded_server):
        session = boto3.Session(
            region_name="us-east-1", aws_access_key_id="embedded", aws_secret_access_key="embedded"
        )
        injection = Injection(session)
        yield AWS(session), injection


@pytest.fixture(scope="session")
def embedded_roles(embedded_server, tmp_path_factory):
    """Bucket and roles on the AWS on this computer; whoever removes a role calls this after it."""
    config = load_config(write_config_in(tmp_path_factory.mktemp("roles")))

    def make():
        with leading_to(embedded_server):
            ready_clients(config)

    make()
    return make


@pytest.fixture
def embedded(embedded_server, embedded_roles, monkeypatch):
    """The clients of the AWS on this computer, with bucket and roles; also in the environment."""
    for name, value in embedded_server.environment.items():
        monkeypatch.setenv(name, value)
    return AWS(boto3.Session(region_name="us-east-1"))


def ready_clients(config):
    """Return clients of the AWS in the environment, after making a bucket and the roles."""
    clients = AWS(boto3.Session(region_name="us-east-1"))
    clients.s3.create_bucket(Bucket=BUCKET)
    setup_aws.make_roles(clients, config)
    return clients


_NUMBERS = itertools.count(1)


@pytest.fixture
def project(write_config):
    """Writes a config.py with an APP_NAME and cluster of its own; returns the Config."""

    def write(**changes):
        number = next(_NUMBERS)
        names = {"APP_NAME": f"App{number}", "ECS_CLUSTER": f"cluster{number}"}
        return load_config(write_config(**{**names, **changes}))

    return write


@pytest.fixture
def set_up(embedded, project):
    """Sets a run up on the AWS on this computer: (clients, config, run)."""

    def start(**changes):
        config = project(**changes)
        return embedded, config, setup.setup(embedded, config)

    return start
