"""retry with real workers: each job ends with one done record, and none runs twice for it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

import pytest

import embedded_aws
from control.aws.s3 import list_keys
from control.aws.session import connect
from control.config import load_config
from control.monitoring import act
from control.records import states, store
from control.user_files.fleet_file import FleetFile
from control.verbs import monitor, retry, setup, setup_aws, start_cluster, stop, submit
from control.verbs.retry import Wanted
from tests.conftest import BUCKET, QUICK, ROOT

LIMIT = 120
WORKER = """
import time
from pathlib import Path
import plumbing
from plumbing import JobFailed

def output_prefix(job):
    return f"out/{job.name}"

def run_job(job):
    folder = Path(job["folder"])
    with open(folder / "ran", "a") as ran:
        ran.write(job.name + "\\n")
    while job["name"] == "slow" and not (folder / "release").exists():
        time.sleep(0.1)
    if job["name"] == "bad" and not (folder / "fixed").exists():
        raise JobFailed("not fixed yet", retry=False)
    (job.output_dir / "done.txt").write_text(job.name)

if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retry")
    worker = folder / "worker"
    worker.mkdir()
    for path in (ROOT / "worker").iterdir():
        if path.name != "generic-worker.py":
            (worker / path.name).symlink_to(path)
    (worker / "generic-worker.py").write_text(WORKER)
    with embedded_aws.running(worker_folder=worker, state_folder=folder / "state") as running:
        yield running


class Site:
    """A project with a run, and the verbs on it."""

    def __init__(self, aws, config, folder):
        self.aws, self.config, self.folder = aws, config, folder

    @property
    def run(self):
        return store.latest(self.aws.s3, BUCKET, self.config.APP_NAME)

    def begin(self, *names):
        setup.setup(self.aws, self.config)
        path = self.folder / "jobs.json"
        groups = [{"name": name} for name in names]
        path.write_text(json.dumps({"folder": str(self.folder), "groups": groups}))
        submit.submit(self.aws, self.run, submit.read_jobs(path), self.config.project)
        self.start()

    def start(self):
        start_cluster.start(self.aws, self.config, self.run, FleetFile(), yes=True)

    def retry(self, *words):
        return retry.retry(self.aws, self.config, self.run, Wanted(words))

    def monitor(self):
        end = time.monotonic() + LIMIT
        wait = threading.Event().wait
        return monitor.watch(
            self.aws,
            self.run,
            QUICK,
            sleep=lambda s: wait(s) if time.monotonic() < end else pytest.fail("no end"),
        )

    def until(self, **wanted):
        """Wait until the counts of jobs are these."""
        end = time.monotonic() + LIMIT
        while True:
            counts = states.count(self.aws.s3, self.run)
            if all(getattr(counts, state) == number for state, number in wanted.items()):
                return
            assert time.monotonic() < end, counts
            threading.Event().wait(0.2)

    def ran(self):
        """Return how often each job was run."""
        return Counter((self.folder / "ran").read_text().split())

    def state(self):
        """Return the states of the records of all runs, by job name."""
        found = {}
        for key in list_keys(self.aws.s3, BUCKET, f"runs/{self.config.APP_NAME}/"):
            if "/records/" in key:
                answer = self.aws.s3.get_object(Bucket=BUCKET, Key=key)
                record = json.loads(answer["Body"].read())
                found.setdefault(record["job_name"], []).append(record["state"])
        return found


@pytest.fixture
def site(server, monkeypatch, write_config, request, tmp_path):
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    number = request.node.name.encode().hex()[-8:]
    path = write_config(
        APP_NAME=f"Retry{number}", ECS_CLUSTER=f"c{number}", CLUSTER_MACHINES=1, JOB_RETRIES=2
    )
    config = load_config(path)
    aws = connect(config)
    aws.s3.create_bucket(Bucket=BUCKET)
    setup_aws.make_roles(aws, config)
    site = Site(aws, config, tmp_path)
    yield site
    (tmp_path / "release").touch()
    list(act.end_machines(aws, site.run))


def test_days_later_when_the_queue_is_gone(site):
    site.begin("good", "bad")
    counts = site.monitor()
    assert (counts.done, counts.failed) == (1, 1)
    ended = site.run
    assert ended.ended and not site.aws.sqs.list_queues(
        QueueNamePrefix=f"{site.config.APP_NAME}Queue"
    ).get("QueueUrls")
    (site.folder / "fixed").touch()
    assert site.retry() == 1
    assert site.retry() == 0
    assert site.run.run_id == ended.run_id and not site.run.ended
    site.start()
    counts = site.monitor()
    assert (counts.submitted, counts.done, counts.failed) == (2, 2, 0)
    assert site.state() == {"good": ["done"], "bad": ["done"]}
    assert site.ran() == {"good": 1, "bad": 2}
    assert site.run.ended


def test_while_others_still_run(site):
    site.begin("slow", "bad", "good")
    site.until(failed=1, done=1)
    (site.folder / "fixed").touch()
    assert site.retry() == 1
    assert site.retry() == 0
    site.until(done=2)
    (site.folder / "release").touch()
    counts = site.monitor()
    assert (counts.done, counts.failed) == (3, 0)
    assert site.state() == {"slow": ["done"], "bad": ["done"], "good": ["done"]}
    assert site.ran() == {"slow": 1, "bad": 2, "good": 1}


def test_after_stop(site):
    site.begin("bad", "slow")
    site.until(failed=1)
    stop.stop(site.aws, site.run, dry_run=False, pause=0.2)
    (site.folder / "fixed").touch()
    (site.folder / "release").touch()
    assert site.retry("bad") == 1
    assert site.retry() == 0
    site.start()
    counts = site.monitor()
    assert (counts.done, counts.failed) == (2, 0)
    assert site.state() == {"slow": ["done"], "bad": ["done"]}
    assert site.ran()["bad"] == 2


def test_what_fails_again_can_be_sent_again(site):
    site.begin("bad")
    site.until(failed=1)
    assert site.retry() == 1
    site.until(failed=1)
    assert site.retry() == 1
    (site.folder / "fixed").touch()
    site.monitor()
    if site.retry():  # it failed once more before it was fixed
        site.start()
        site.monitor()
    assert site.state() == {"bad": ["done"]}
