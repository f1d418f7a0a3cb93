"""The verbs as they are typed, and the worlds that they find: for tests that break them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time

import run
from control.aws import cloudwatch, ecs, lambda_function, launch_template
from control.aws.sqs import delete_queue
from control.monitoring import act, auto_monitor
from control.records import fleet_requests, monitor_file, store
from control.user_files import job_file
from control.user_files.fleet_file import FleetFile
from control.verbs import setup, setup_aws, submit
from tests import account_state
from tests.conftest import BUCKET, ROOT
from tests.worker_records import put

DASHBOARD = json.loads((ROOT / "files/dashboard.json").read_text())
FLEET = str(ROOT / "files/exampleFleet.json")
_NUMBERS = itertools.count(1)


class Verbs:
    """One project at a time, and what is done with it."""

    def __init__(self, aws, injection, project):
        self.aws, self.injection, self._project = aws, injection, project
        self.config = None
        self.unbroken = {}  # what each verb does when nothing goes wrong
        self.account = ""
        self.auto_monitor = ""  # its ARN, if the runs are watched by it
        self._plan = None

    def begin(self):
        """Begin a new project, without any resources yet."""
        name = f"Every{next(_NUMBERS):04d}"
        self.config = self._project(
            APP_NAME=name,
            ECS_CLUSTER=f"{name}Cluster",
            MEMORY=900_000,
            CLUSTER_MACHINES=1,
            # So that the monitor asks for prices, too.
            MAX_HOURLY_COST=100.0,
            AUTO_MONITOR=bool(self.auto_monitor),
        )

    def watched(self):
        """Have all later runs watched by the auto-monitor."""
        self.begin()
        list(setup_aws.make(self.aws, self.config))
        self.auto_monitor = lambda_function.arn(self.aws.functions, b"")[0]
        self.config = None

    def type(self, verb, **faults):
        """Type a verb, with these faults; returns the numbers of the calls it made.

        "auto-monitor" is what Scheduler does each minute, as long as there is a schedule.
        """
        if verb == "auto-monitor":
            the_run = self.run()
            event = {"bucket": BUCKET, "app_name": the_run.app_name, "run_id": the_run.run_id}
            if self.state()["schedules"]:
                with self.injection.watch(**faults):
                    auto_monitor.handler(event, None)
            return len(self.injection.calls)
        with self.injection.watch(**faults):
            run.main(self.words(verb))
        return len(self.injection.calls)

    def words(self, verb):
        """Return the command line of a verb."""
        # The calls of check have their own tests: a denial there stops nothing.
        more = [FLEET, "--yes", "--no-check"] if verb == "startCluster" else []
        return ["--config", str(self.config.path.parent), verb, *more]

    def run(self):
        return store.current(self.aws.s3, BUCKET, self.config.APP_NAME)

    def state(self):
        if self.account:
            return account_state.of_account(self.aws, self.config)
        return account_state.of_app(self.aws, self.config)

    def differs_from(self, expected):
        return account_state.difference(self.state(), expected)

    # The worlds that verbs start in; each builds on what the one before has left.

    def with_nothing(self):
        self.begin()

    def with_empty_account(self):
        """Move to a separate account without roles; the existing clients get its keys."""
        if not self.account:
            self.account = "111122223333"
            role = f"arn:aws:iam::{self.account}:role/Administrator"
            given = self.aws.sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
            self._use(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        account_state.empty(self.aws)
        self.begin()

    def _use(self, key, secret, token):
        keys = self.aws.session.get_credentials()
        keys.access_key, keys.secret_key, keys.token = key, secret, token

    def with_jobs(self):
        """Set up a run with one job in the queue, which no worker takes."""
        self.begin()
        the_run = setup.setup(self.aws, self.config)
        self.aws.sqs.send_message(QueueUrl=the_run.queue_url, MessageBody="{}")
        self._put(the_run, "submitted/0001-000001-new1-again0.jsonl.gz")

    def with_machines(self):
        """Add a machine and its alarm to with_jobs."""
        self.with_jobs()
        self._start()

    def with_machines_again(self):
        """Restore with_machines from what `stop` has left of it."""
        if self.config is None or self.run() is None:
            self.with_machines()
            return
        the_run = dataclasses.replace(self.run(), fleets=(), memory={})
        ecs.ensure_service(self.aws.ecs, the_run, the_run.task_definition, pause=0.05)
        store.change(self.aws.s3, the_run, lambda r: the_run)
        self._start()

    def with_jobs_again(self):
        """Restore with_jobs: end the machines that an interrupted startCluster has left."""
        if self.config is None:
            self.with_jobs()
            return
        for _ in act.end_machines(self.aws, self.run()):
            continue
        auto_monitor.end(self.aws, self.run())
        cloudwatch.delete_dashboard(self.aws.cloudwatch, self.run())
        self.aws.s3.delete_object(Bucket=BUCKET, Key=f"{self.run().prefix}snapshot/fleet.json")
        the_run = self.run()
        ecs.ensure_service(self.aws.ecs, the_run, the_run.task_definition, pause=0.05)
        store.change(self.aws.s3, the_run, lambda r: dataclasses.replace(r, fleets=(), memory={}))

    def with_all_done(self):
        """Bring a run to the moment when its last job has its record."""
        self.with_machines()
        the_run = self.run()
        self.aws.sqs.purge_queue(QueueUrl=the_run.queue_url)
        self._put(the_run, "records/0123456789abcdef.done.json", b"{}")
        memory = {"empty_since": 1.0, "empty_readings": 3}
        store.change(self.aws.s3, the_run, lambda r: dataclasses.replace(r, memory=memory))
        monitor_file.write(self.config, self.run())

    def with_ended_run(self):
        """Make a run that ended with one job failed for good; its queue is gone."""
        self.begin()
        the_run = setup.setup(self.aws, self.config)
        path = self.config.project / "jobs.json"
        path.write_text('{"groups": [{"name": "bad"}]}')
        submit.submit(self.aws, the_run, submit.read_jobs(path), self.config.project)
        (job,) = job_file.read(path).jobs()
        put(self.aws.s3, the_run, job, "failed", log_key="")
        delete_queue(self.aws.sqs, the_run.queue_url)
        ended = "2026-01-01T00:00:00Z"
        store.change(self.aws.s3, the_run, lambda r: dataclasses.replace(r, ended=ended))

    def tidy(self):
        """End the machines of the last project, or come back from the last account."""
        if self.account:
            self._use("embedded", "embedded", None)
            self.account = ""
        elif self.config is not None and self.run() is not None:
            for _ in act.end_machines(self.aws, self.run()):
                continue
            auto_monitor.end(self.aws, self.run())

    def _start(self):
        the_run = self.run()
        self._plan = self._plan or launch_template.plan(self.aws, self.config, FleetFile())
        the_run = fleet_requests.request(self.aws, the_run, self._plan, 1, 1_900_000_000.0, None)
        ecs.set_desired(self.aws.ecs, the_run, 1)
        the_run = auto_monitor.begin(self.aws, the_run, self.auto_monitor)
        cloudwatch.put_alarm(self.aws.cloudwatch, the_run, "i-1", 4)
        cloudwatch.put_dashboard(self.aws.cloudwatch, the_run, DASHBOARD)
        # Verbs make more calls about a machine that is up: wait, so that all of them are made.
        until = time.monotonic() + 60
        while not account_state.machines_up(self.aws, self.config):
            assert time.monotonic() < until
            time.sleep(0.01)

    def _put(self, the_run, key, body=b""):
        self.aws.s3.put_object(Bucket=BUCKET, Key=the_run.prefix + key, Body=body)
