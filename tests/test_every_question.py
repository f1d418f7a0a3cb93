"""Every verb that only asks, throttled or denied at the calls that it makes to AWS.

Denied at a sample of the calls; with --every-point at every single one.
"""

from __future__ import annotations

import json
import types

import pytest

import run
from control import cli
from control.aws import session
from control.records import job_objects
from control.user_files import job_file
from control.verbs import submit
from tests.injection import numbered
from tests.test_every_call import ACTIONS, POINTS, PREFIXES
from tests.typed_verbs import Verbs
from tests.worker_records import put


class Questions(Verbs):
    """Verbs that only answer questions."""

    def ask(self, words, capsys, **faults):
        """Return (exit code, standard output, standard error) of a verb with these faults."""
        capsys.readouterr()
        with self.injection.watch(**faults):
            words = ["--config", str(self.config.path.parent), *words]
            code = cli.run_main(run.main, words)
        return code, *capsys.readouterr()

    def with_a_failed_job(self):
        """Make a run without messages, with one job done and one failed for good."""
        self.with_jobs()
        the_run = self.run()
        self.aws.sqs.purge_queue(QueueUrl=the_run.queue_url)
        path = self.config.project / "jobs.json"
        path.write_text('{"groups": [{"name": "bad"}, {"name": "good"}]}')
        submit.submit(self.aws, the_run, submit.read_jobs(path), self.config.project)
        bad, good = job_file.read(path).jobs()
        put(self.aws.s3, the_run, bad, "failed", lines=["this is wrong"])
        put(self.aws.s3, the_run, good, "done", lines=["this is right"])

    def with_ended_machines(self):
        """Request and cancel machines, so that the history of the request is read."""
        self.with_machines()
        the_run = self.run()
        ids = [fleet.fleet_id for fleet in the_run.fleets]
        self.aws.ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=ids, TerminateInstances=True)

    def with_lost_jobs(self):
        """Empty the queue of a run that has no records."""
        self.with_machines()
        self.aws.sqs.purge_queue(QueueUrl=self.run().queue_url)


@pytest.fixture
def questions(breakable, embedded, project, monkeypatch):
    aws, injection = breakable
    monkeypatch.setattr(session, "connect", lambda config: aws)
    # Pauses of botocore before it tries again.
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda _: None))
    # A fault belongs to a call: no two at the same time.
    monkeypatch.setattr(job_objects, "CONNECTIONS", 1)
    made = Questions(aws, injection, project)
    yield made
    made.tidy()


# each question with the worlds in which it makes other calls
ASKED = [
    (("check", "--json"), "with_nothing"),
    (("check", "--json"), "with_a_failed_job"),
    (("status", "--json"), "with_jobs"),
    (("status", "--json"), "with_machines"),
    (("status", "--json"), "with_ended_machines"),
    (("status", "--json"), "with_lost_jobs"),
    (("status", "--all", "--json"), "with_machines"),
    (("failures", "--json"), "with_a_failed_job"),
    (("logs", "bad"), "with_a_failed_job"),
    (("logs", "--grep", "wrong"), "with_a_failed_job"),
    (("report", "--json"), "with_a_failed_job"),
]
IDS = [f"{' '.join(words)} {world}" for words, world in ASKED]


@pytest.mark.parametrize(("words", "world"), ASKED, ids=IDS)
def test_each_call_throttled_once_is_not_noticed(questions, capsys, words, world):
    getattr(questions, world)()
    code, expected, _ = questions.ask(words, capsys)
    calls = list(questions.injection.calls)
    again, out, err = questions.ask(words, capsys, throttle=True)
    print(f"{' '.join(words)}: each of {len(calls)} calls throttled once")
    assert len(questions.injection.calls) > 0.9 * len(calls) > 0
    assert again == code == usual(words) and "Rate exceeded" not in out + err
    assert shape(out) == shape(expected)


def usual(words):
    """Return the usual exit code; the containers of these projects fit on no machine on purpose."""
    return 1 if words[0] == "check" else 0


def shape(out):
    """Return the content of an answer, without what differs from one moment to another."""
    try:
        told = json.loads(out)
    except json.JSONDecodeError:
        return out
    if "checks" in told:
        return [(one["check"], one["outcome"], one["found"]) for one in told["checks"]]
    return sorted(told), told.get("jobs"), told.get("groups")


@pytest.mark.parametrize(("words", "world"), ASKED, ids=IDS)
def test_each_call_denied_once_names_the_permission(questions, capsys, sample, words, world):
    getattr(questions, world)()
    questions.ask(words, capsys)
    calls = numbered(questions.injection.calls)
    allowed = set(calls) - set(sample(calls, POINTS))
    denied = set(allowed)
    for _ in range(200):
        before = set(denied)
        code, out, err = questions.ask(words, capsys, deny_beside=denied)
        if denied == before:
            break
        ((service, operation, number),) = denied - before
        permission = f"{PREFIXES.get(service, service)}:{ACTIONS.get(operation, operation)}"
        said = out + err
        assert "A bug" not in said and "Traceback" not in said, f"{operation} {number}: {said}"
        if operation == "HeadBucket":
            # S3 names the region in its refusal, too; what may be done, the next calls try.
            continue
        assert permission in said, f"{service}:{operation} {number} was swallowed: {said}"
        if words[0] == "check":
            told = json.loads(out)
            assert told["counts"]["not checkable"] + told["counts"]["failed"], operation
        else:
            assert code == 1 and err.splitlines()[-2].startswith("Error: ")
    assert code == usual(words) and len(denied) == len(questions.injection.calls)
    print(f"{' '.join(words)}: {len(denied) - len(allowed)} calls denied once each")
