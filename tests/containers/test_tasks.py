"""The worker in real containers as tasks of a service: stopped, killed, out of memory."""

from __future__ import annotations

import json

import boto3
import pytest

import embedded_aws
from control.aws.s3 import list_keys
from control.aws.session import AWS
from control.aws.sqs import queue_counts
from control.config import load_config
from control.monitoring import act
from control.user_files.fleet_file import FleetFile
from control.verbs import setup, setup_aws, start_cluster, submit
from tests.conftest import BUCKET, ROOT
from tests.faults.site import until

LIMIT = 120
# Longer than any test: what comes again before has been given back.
FOR_EVER = 3600
MEMORY = 300  # MiB


class Site:
    """A run on an AWS of its own whose tasks are containers."""

    def __init__(self, engine, aws, state, project):
        self._engine, self.aws, self._state, self._project = engine, aws, state, project
        self.run = None

    def start(self, *groups, **changes):
        """Set up, submit and start one machine."""
        config = self._project(CLUSTER_MACHINES=1, DOCKER_CORES=1, **changes)
        path = config.project / "jobs.json"
        path.write_text(json.dumps({"groups": list(groups)}))
        run = setup.setup(self.aws, config)
        submit.submit(self.aws, run, submit.read_jobs(path), config.project)
        self.run = start_cluster.start(self.aws, config, run, FleetFile(), yes=True)

    def log(self, task):
        path = self._state / "tasks" / task / "log.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def tasks(self, status="RUNNING"):
        arns = self.aws.ecs.list_tasks(cluster=self.run.cluster, desiredStatus=status)["taskArns"]
        return [arn.rpartition("/")[2] for arn in arns]

    def begun(self, other_than=""):
        """Wait for a task in which the job runs, and return it."""

        def look():
            found = [task for task in self.tasks() if "has begun" in self.log(task)]
            return [task for task in found if task != other_than]

        return until(look, LIMIT)[0]

    def container_of(self, task):
        """Wait for the end of its container, and return that as ECS describes it."""

        def look():
            answer = self.aws.ecs.describe_tasks(cluster=self.run.cluster, tasks=[task])
            (described,) = answer["tasks"]
            return described if described["lastStatus"] == "STOPPED" else None

        return until(look, LIMIT)["containers"][0]

    def signal(self, task, *command):
        self._engine.run(*command, f"distributed-something-{task}")

    def let_go(self):
        """Let the jobs that wait continue."""
        self.aws.s3.put_object(Bucket=BUCKET, Key="go", Body=b"")

    def written(self, what):
        """Return the attempts, or the records, by job name."""
        found = {}
        for key in list_keys(self.aws.s3, BUCKET, f"{self.run.prefix}{what}/"):
            one = json.loads(self.aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
            found[one["job_name"]] = one
        return found

    def records(self, count=1):
        """Wait until there are `count` records, and return them by job name."""
        until(lambda: len(self.written("records")) == count, LIMIT)
        return self.written("records")


@pytest.fixture
def site(engine, obedient_image, monkeypatch, tmp_path, write_config):
    for name, value in engine.environ.items():
        monkeypatch.setenv(name, value)

    def project(**changes):
        return load_config(write_config(DOCKERHUB_TAG=obedient_image, MEMORY=MEMORY, **changes))

    state = tmp_path / "state"
    with embedded_aws.running(ROOT / "worker", state, engine=engine.name) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        aws = AWS(boto3.Session(region_name="us-east-1"))
        aws.s3.create_bucket(Bucket=BUCKET)
        setup_aws.make_roles(aws, project())
        made = Site(engine, aws, state, project)
        yield made
        if made.run:
            list(act.end_machines(aws, made.run))
    labels = engine.run("ps", "--all", "--format", "{{.Labels}}").stdout
    assert str(state) not in labels, "containers are left"


def test_docker_stop_gives_the_job_back_at_once_and_ends_in_order(site):
    site.start({"name": "a", "do": "wait"}, SQS_MESSAGE_VISIBILITY=FOR_EVER)
    task = site.begun()

    site.signal(task, "stop", "--time", "10")  # after 10 s it would be SIGKILL, and exit code 137

    container = site.container_of(task)
    assert container["exitCode"] == 0, site.log(task)
    interrupted = site.written("attempts")["a"]
    assert interrupted["state"] == "interrupted"
    assert interrupted["reason"] == "the container was told to stop"
    site.begun(other_than=task)
    site.let_go()
    done = site.records()["a"]
    assert (done["state"], done["receive"], done["attempt"]) == ("done", 2, 1)


def test_a_container_that_is_killed_is_replaced_and_its_job_done_by_the_next(site):
    site.start({"name": "a", "do": "wait"}, SQS_MESSAGE_VISIBILITY=20)
    task = site.begun()

    site.signal(task, "kill", "--signal", "KILL")

    container = site.container_of(task)
    assert container["exitCode"] == 137 and "reason" not in container
    site.begun(other_than=task)
    site.let_go()
    done = site.records()["a"]
    assert (done["state"], done["attempt"]) == ("done", 2)


def test_a_job_that_exceeds_memory_fails_with_that_reason_and_its_container_takes_the_next(site):
    greedy = {"name": "greedy", "do": "take memory"}
    site.start(greedy, {"name": "modest", "do": "work"}, JOB_RETRIES=1)

    found = site.records(2)

    failed, done = found["greedy"], found["modest"]
    assert failed["state"] == "failed" and failed["signal"] == "SIGKILL"
    assert failed["reason"] == (
        "out of memory: the kernel killed /usr/bin/python3 (limit 300 MiB); MEMORY is 300"
    )
    assert MEMORY / 2 < failed["peak_memory_mb"] < 1.2 * MEMORY
    assert done["state"] == "done"
    assert site.tasks("STOPPED") == [], "the container lived on"
    assert queue_counts(site.aws.sqs, site.run.queue_url).total == 0
