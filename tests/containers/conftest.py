"""Real containers: the engine of this machine, base images, and the worker's image."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from tests.containers import bases, ec2, others
from tests.containers import engine as engines
from tests.worker.conftest import Cloud

ROOT = Path(__file__).resolve().parents[2]
# Two checkouts on one machine share the store, but not their images.
_CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
_NUMBERS = itertools.count(1)
_SCRIPT = """import os, subprocess, time
from pathlib import Path
import plumbing
BUCKET = Path("/home/ubuntu/bucket")
def output_prefix(job):
    return f"out/{{job.name}}"
def run_job(job):
{body}
plumbing.main(output_prefix, run_job)
"""


_LAST = "test_bases.py"


def pytest_collection_modifyitems(items):
    """Run the tests of the slowest build last."""
    items.sort(key=lambda item: item.path.name == _LAST)


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    engine: engines.Engine
    name: str

    def output(self) -> str:
        """Return everything that it has printed so far."""
        said = self.engine.run("logs", self.name, check=False)
        return said.stdout + said.stderr

    def exit_code(self) -> int | None:
        """Return its exit code, or None while it runs."""
        form = "{{.State.Status}} {{.State.ExitCode}}"
        status, code = self.engine.run("inspect", "-f", form, self.name).stdout.split()
        return int(code) if status in ("exited", "stopped") else None

    def wait(self, seconds: float = 60.0) -> int:
        """Wait for its end and return the exit code."""
        return until(lambda: self.exit_code() is not None and [self.exit_code()], seconds)[0]

    def says(self, text: str, seconds: float = 60.0) -> str:
        """Wait until `text` is in its output, and return it; fail if the container ends before."""

        def said():
            ended = self.exit_code() is not None
            output = self.output()
            assert text in output or not ended, output
            return output if text in output else ""

        return until(said, seconds)

    def shell(self, script: str) -> str:
        """Return what a script prints in a shell inside it."""
        return self.engine.run("exec", self.name, "sh", "-c", script).stdout


def until(condition, seconds: float = 60.0):
    """Return what `condition` gives as soon as that is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"did not come to hold in {seconds:.0f} s"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="session")
def engine():
    """The container engine: `.command`, `.environ`, `.run(...)`, `.build(...)`; see engine.py."""
    try:
        return engines.find()
    except engines.NoEngine as error:
        fix = "On Debian and Ubuntu: apt-get install podman runc"
        pytest.fail(f"No container engine works here: {error}. {fix}", pytrace=False)


@pytest.fixture(scope="session")
def base_image(engine):
    """Gives the name of a base image by its suite ("bookworm"), made or pulled when first asked."""
    return lambda suite: bases.provide(engine, suite)


@pytest.fixture(scope="session", autouse=True)
def on_other_bases(request, engine, image_name):
    """Gives the worker's image on another base by its suite, with that base; see others.py."""
    if not any(item.path.name == _LAST for item in request.session.items):
        yield None
        return
    made = others.Others(engine, image_name)
    yield made.get
    made.close()


@pytest.fixture(scope="session")
def image_name():
    """Gives the tag of an image of this checkout: image_name("worker")."""
    return lambda name: f"localhost/distributed-something-{name}:{_CHECKOUT}"


@pytest.fixture(scope="session")
def worker_image(engine, base_image, image_name):
    """The tag of the image of worker/, built from its Dockerfile on Debian 12."""
    base = base_image("bookworm")
    with bases.alone(engines.cache_folder() / "build.lock"):
        return engine.build(ROOT / "worker", image_name("worker"), base=base)


@pytest.fixture(scope="session")
def podman(engine):
    """Only podman puts a container into a network that the tests have made."""
    if engine.name != "podman":
        pytest.fail("This test needs podman. On Debian: apt-get install podman runc", pytrace=False)


@pytest.fixture
def machine(podman, embedded_server):
    """A machine of EC2, with a network of its own in which its metadata answers."""
    with ec2.running(embedded_server.endpoint) as one:
        yield one


@pytest.fixture
def elsewhere(podman, embedded_server):
    """A computer that is none of EC2, where nothing comes back from the address of metadata."""
    with ec2.elsewhere(embedded_server.endpoint) as one:
        yield one


@pytest.fixture
def site(embedded_server, monkeypatch):
    """One test's bucket and queues on AWS on this computer, as tests/worker has them."""
    for name, value in embedded_server.environment.items():
        monkeypatch.setenv(name, value)
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    name = f"containers-{next(_NUMBERS)}"
    s3.create_bucket(Bucket=name)
    queue = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    settings = {
        "AWS_ENDPOINT_URL": embedded_server.endpoint,
        "AWS_REGION": "us-east-1",
        "SQS_QUEUE_URL": queue,
        "SQS_DEAD_LETTER_QUEUE": f"{name}-dead",
        "AWS_BUCKET": name,
        "APP_NAME": "App",
        "RUN_ID": "20260101T000000Z",
        "SQS_MESSAGE_VISIBILITY": "60",
    }
    yield Cloud(s3, sqs, name, queue, dead, settings)
    s3.close()
    sqs.close()


@pytest.fixture
def start(engine, site, worker_image, tmp_path):
    """Starts a container of the worker's image; removes what is left of it at the end.

    `run_job` is the body of another run_job than the shipped one; `options` are the engine's.
    """
    started = []

    def start_one(*options, image=worker_image, run_job="", keys=True, **settings):
        name = f"distributed-something-{os.getpid()}-{next(_NUMBERS)}"
        environ = {**site.settings, **settings}
        if keys:
            names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED")
            environ = {**{each: os.environ[each] for each in names}, **environ}
        variables = [f"--env={key}={value}" for key, value in environ.items()]
        if run_job:
            script = tmp_path / f"{name}.py"
            body = textwrap.indent(textwrap.dedent(run_job).strip(), "    ")
            script.write_text(_SCRIPT.format(body=body))
            variables.append(f"--volume={script}:/home/ubuntu/generic-worker.py:ro")
        network = [] if "--network" in options else ["--network", "host"]
        engine.run("run", "-d", "--name", name, *network, *options, *variables, image)
        container = Container(engine, name)
        started.append(container)
        return container

    yield start_one
    for container in started:
        print(container.output())
        engine.run("rm", "-f", "-t", "0", container.name, check=False)


@pytest.fixture(scope="session")
def obedient_image(engine, worker_image, image_name, tmp_path_factory):
    """The worker's image with the generic-worker.py of these tests."""
    folder = tmp_path_factory.mktemp("obedient")
    shutil.copy(Path(__file__).with_name("generic-worker.py"), folder)
    lines = f"FROM {worker_image}\nCOPY generic-worker.py /home/ubuntu/generic-worker.py\n"
    (folder / "Dockerfile").write_text(lines)
    return engine.build(folder, image_name("obedient"))
