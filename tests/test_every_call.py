"""Every verb, broken off, denied or throttled at every single call that it makes to AWS."""

from __future__ import annotations

import dataclasses
import itertools
import types

import boto3
import pytest

import run
from control import (
    account,
    alarms,
    cluster,
    command,
    dashboard,
    ending,
    fleet_request,
    machines,
    records,
)
from control import setup as setup_verb
from control.decision import Pace
from control.fleet_file import FleetFile
from tests import account_state
from tests.conftest import BUCKET, ROOT
from tests.injection import Broken, Injection

FLEET = str(ROOT / "files/exampleFleet.json")
AT_ONCE = Pace(poll=0.05, settle=0.1, spare=0.1, register=60)
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def site(embedded_server):
    """Clients of the AWS on this computer whose calls can be made to fail: (clients, injection)."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in embedded_server.environment.items():
            patch.setenv(name, value)
        session = boto3.Session(
            region_name="us-east-1", aws_access_key_id="embedded", aws_secret_access_key="embedded"
        )
        injection = Injection(session)
        yield account.AWS(session), injection


@pytest.fixture
def verbs(site, embedded, project, monkeypatch):
    """The verbs of new projects, as they are typed."""
    aws, injection = site
    monkeypatch.setattr(account, "connect", lambda config: aws)
    monkeypatch.setattr(run, "Pace", lambda: AT_ONCE)
    # It only looks on, and what it looks for never comes: the containers fit on no machine.
    monkeypatch.setattr(run.waiting, "wait_for_machines", lambda *_, **__: True)
    # Pauses of botocore before it tries again.
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda _: None))
    made = Verbs(aws, injection, project)
    yield made
    made.tidy()


class Verbs:
    """One project at a time, and what is done with it."""

    def __init__(self, aws, injection, project):
        self.aws, self.injection, self._project = aws, injection, project
        self.config = None
        self.first_calls = []
        self.account = ""

    def begin(self):
        """Another project, of which nothing exists."""
        name = f"Every{next(_NUMBERS):04d}"
        self.config = self._project(
            APP_NAME=name, ECS_CLUSTER=f"{name}Cluster", MEMORY=900_000, CLUSTER_MACHINES=1
        )

    def type(self, verb, **faults):
        """Type a verb, with these faults; returns the numbers of the calls it made."""
        words = {"startCluster": ["startCluster", FLEET, "--yes"]}.get(verb, [verb])
        with self.injection.watch(**faults):
            run.main(["--config", str(self.config.path.parent), *words])
        return len(self.injection.calls)

    def run(self):
        return records.current(self.aws.s3, BUCKET, self.config.APP_NAME)

    def state(self):
        if self.account:
            return account_state.of_account(self.aws)
        return account_state.of_app(self.aws, self.config)

    def differs_from(self, expected):
        return account_state.difference(self.state(), expected)

    # How a verb finds the world: each begins where the one before has left it.

    def with_nothing(self):
        self.begin()

    def with_empty_account(self):
        """In an account of its own, without roles: the clients that there are get its keys."""
        if not self.account:
            self.account = "111122223333"
            role = f"arn:aws:iam::{self.account}:role/Administrator"
            given = self.aws.sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
            self._use(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        account_state.remove_roles(self.aws.iam)
        self.begin()

    def _use(self, key, secret, token):
        keys = self.aws.session.get_credentials()
        keys.access_key, keys.secret_key, keys.token = key, secret, token

    def with_jobs(self):
        """Set up, and with one job in the queue that no worker takes."""
        self.begin()
        the_run = setup_verb.setup(self.aws, self.config)
        self.aws.sqs.send_message(QueueUrl=the_run.queue_url, MessageBody="{}")
        self._put(the_run, "submitted/0001-000001-new1-again0.jsonl.gz")

    def with_machines(self):
        """With a machine and its alarm as well."""
        self.with_jobs()
        self._start()

    def with_machines_again(self):
        """As with_machines, on what `stop` has left of it."""
        if self.config is None or self.run() is None:
            self.with_machines()
            return
        the_run = dataclasses.replace(self.run(), fleets=[], memory={})
        cluster.ensure_service(self.aws.ecs, the_run, the_run.task_definition, pause=0.05)
        records.change(self.aws.s3, the_run, lambda r: the_run)
        self._start()

    def with_jobs_again(self):
        """As with_jobs, after the machines were ended that a broken startCluster has left."""
        if self.config is None:
            self.with_jobs()
            return
        for _ in ending.end_machines(self.aws, self.run()):
            continue
        dashboard.delete(self.aws.cloudwatch, self.run())
        self.aws.s3.delete_object(Bucket=BUCKET, Key=f"{self.run().prefix}snapshot/fleet.json")
        the_run = self.run()
        cluster.ensure_service(self.aws.ecs, the_run, the_run.task_definition, pause=0.05)
        records.change(self.aws.s3, the_run, lambda r: dataclasses.replace(r, fleets=[], memory={}))

    def with_all_done(self):
        """At the moment when the last job has got its record."""
        self.with_machines()
        the_run = self.run()
        self.aws.sqs.purge_queue(QueueUrl=the_run.queue_url)
        self._put(the_run, "records/0123456789abcdef.done.json")
        memory = {"empty_since": 1.0}
        records.change(self.aws.s3, the_run, lambda r: dataclasses.replace(r, memory=memory))
        run.monitor_file.write(self.config, self.run())

    def tidy(self):
        """End the machines of the last project, or come back from the last account."""
        if self.account:
            self._use("embedded", "embedded", None)
            self.account = ""
        elif self.config is not None and self.run() is not None:
            for _ in ending.end_machines(self.aws, self.run()):
                continue

    def _start(self):
        the_run = self.run()
        plan = machines.plan(self.aws, self.config, FleetFile())
        the_run = fleet_request.request(self.aws, the_run, plan, 1, 1_900_000_000.0, None)
        alarms.put(self.aws.cloudwatch, the_run, "i-1", 4)
        dashboard.put(self.aws.cloudwatch, the_run)

    def _put(self, the_run, key):
        self.aws.s3.put_object(Bucket=BUCKET, Key=the_run.prefix + key, Body=b"")


# verb -> how it finds the world, first and for each later break
WORLDS = {
    "setupAWS": "with_empty_account",
    "setup": "with_nothing",
    "startCluster": "with_jobs_again",
    "monitor": "with_all_done",
    "stop": "with_machines_again",
}
ENDS = ("monitor", "stop")


def unbroken(verbs, verb):
    """(number of calls, state) of the verb when nothing goes wrong."""
    getattr(verbs, WORLDS[verb])()
    n = verbs.type(verb)
    verbs.first_calls = list(verbs.injection.calls)
    state = verbs.state()
    if verb in ENDS:
        assert account_state.machines_up(verbs.aws, verbs.config) == 0
        assert state["fleets"] == [] and state["alarms"] == 0 and state["launch templates"] == []
    return n, state


@pytest.mark.parametrize("verb", WORLDS)
def test_broken_off_after_any_call_a_verb_is_completed_by_the_next(verbs, verb):
    n, expected = unbroken(verbs, verb)
    print(f"{verb}: broken off after each of {n} calls")
    fresh = False
    for k in range(1, n + 1):
        if not fresh:
            getattr(verbs, WORLDS[verb])()
        with pytest.raises(Broken) as broken:
            verbs.type(verb, break_after=k)
        # What only read has left nothing to mend: the next break finds the same world.
        fresh = not verbs.injection.changed_something()
        if not fresh:
            verbs.type(verb)
            assert verbs.differs_from(expected) == [], f"broken off {broken.value}"
            if verb in ENDS:
                assert account_state.machines_up(verbs.aws, verbs.config) == 0


@pytest.mark.parametrize("verb", WORLDS)
def test_each_call_throttled_once_changes_nothing(verbs, verb):
    n, expected = unbroken(verbs, verb)
    getattr(verbs, WORLDS[verb])()
    print(f"{verb}: each of {n} calls throttled once")
    assert verbs.type(verb, throttle=True) >= n
    assert verbs.differs_from(expected) == []


@pytest.mark.parametrize("verb", WORLDS)
def test_a_denied_call_names_the_permission_and_with_it_the_verb_goes_on(verbs, verb):
    n, expected = unbroken(verbs, verb)
    getattr(verbs, WORLDS[verb])()
    denied = denied_once_each(verbs, verb)
    print(f"{verb}: {len(denied)} calls denied once, {n} made without")
    assert {call[:2] for call in denied} >= set(verbs.first_calls)
    assert verbs.differs_from(expected) == []


def denied_once_each(verbs, verb):
    """Type the verb until no call is left to deny; every error must name the permission."""
    denied = set()
    for _ in range(200):
        before = set(denied)
        try:
            verbs.type(verb, deny_beside=denied)
        except Exception as error:
            ((service, operation, _),) = denied - before
            said = command.explain(error)
            permission = f"{PREFIXES.get(service, service)}:{ACTIONS.get(operation, operation)}"
            assert permission in f"{said.what} {said.fix}", f"{service}:{operation}: {said}"
            continue
        assert denied == before, f"a denial was swallowed: {denied - before}"
        return denied
    raise AssertionError(f"{verb} never came to its end")


# As the Service Authorization Reference names them; every other action is named as its call.
PREFIXES = {"monitoring": "cloudwatch"}
ACTIONS = {"HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket"}
