"""The whole path with IAM enforced: each part may do what it must, and nothing of others."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError

import embedded_aws
from control.aws import cloudwatch_logs, iam, lambda_function
from control.aws.scheduler import schedule_exists
from control.aws.session import AWS
from control.checks import all_checks
from control.config import load_config
from control.errors import ExplainedError
from control.explain import aws_errors
from control.monitoring import act, run_state
from control.records import resources, states, store
from control.user_files import fleet_file
from control.verbs import (
    failures,
    logs,
    monitor,
    retry,
    setup,
    setup_aws,
    start_cluster,
    stop,
    submit,
)
from control.verbs.local import local
from control.verbs.retry import Wanted
from tests import lambda_runtime
from tests.conftest import BUCKET, ROOT

ALL_ROLES = (
    iam.CONTROL_ROLE,
    iam.INSTANCE_ROLE,
    iam.EXECUTION_ROLE,
    iam.TASK_ROLE,
    iam.FLEET_ROLE,
    iam.MONITOR_ROLE,
    iam.SCHEDULER_ROLE,
)
PLUGIN = "tests.iam_enforcement.plugin"
LIMIT = 60  # seconds; without faults it takes some ten
WORKER = """
import time
import plumbing

def output_prefix(job):
    return f"out/{job.name}"

def run_job(job):
    text = job.download(f"in/{job['name']}.txt").read_text()
    time.sleep(3 if job["name"] == "c" else 0)
    (job.output_dir / "done.txt").write_text(text.upper())

if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
"""


class Account:
    """An account in which IAM is enforced: clients as its administrator, or in a role."""

    def __init__(self, server):
        self._keys = []
        self._server = server
        iam = self._session().client("iam")
        self._keys = keys_of_user(iam, "admin", "*")
        enforce = urllib.request.Request(
            f"{server.endpoint}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(enforce).close()
        self.admin = AWS(self._session())

    def _session(self, *keys):
        return boto3.Session(*(keys or self._keys), region_name="us-east-1")

    def as_role(self, name):
        """Return clients with the permissions of a role."""
        return AWS(self._session(*self.keys_of(name)))

    def keys_of(self, name):
        """Return credentials of a role, after a change of its trust policy to allow that."""
        if name != iam.CONTROL_ROLE:
            trust = {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "sts:AssumeRole",
            }
            self.admin.iam.update_assume_role_policy(
                RoleName=name,
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            )
        answer = self.admin.sts.assume_role(RoleArn=_arn(name), RoleSessionName="test")
        given = answer["Credentials"]
        return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]


def keys_of_user(iam, name, action):
    """Make a user who may do this; return the keys."""
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return [key["AccessKeyId"], key["SecretAccessKey"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("enforced")
    worker = folder / "worker"
    worker.mkdir()
    for path in (ROOT / "worker").iterdir():
        if path.name != "generic-worker.py":
            (worker / path.name).symlink_to(path)
    (worker / "generic-worker.py").write_text(WORKER)
    with embedded_aws.running(worker, folder / "state", plugin=PLUGIN) as running:
        yield running


@pytest.fixture(scope="module")
def made(server, tmp_path_factory):
    """(the account, the project's config), after setupAWS by the administrator."""
    project = tmp_path_factory.mktemp("project")
    values = {
        **{"APP_NAME": "Mine", "DOCKERHUB_TAG": "somebody/image:1", "AWS_REGION": "us-east-1"},
        **{"AWS_BUCKET": BUCKET, "SOURCE_BUCKET": "inputs", "DESTINATION_BUCKET": "outputs"},
        **{
            "CLUSTER_MACHINES": 2,
            "JOB_RETRIES": 2,
            "MACHINE_TYPE": ["m5.xlarge"],
            "DOCKER_CORES": 2,
        },
        **{"CPU_SHARES": 2048, "MEMORY": 4000, "ECS_CLUSTER": "mine"},
    }
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    (project / "config.py").write_text("\n".join(lines))
    config = load_config(project)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        enforced = Account(server)
        for bucket in (BUCKET, "inputs", "outputs", "other-bucket"):
            enforced.admin.s3.create_bucket(Bucket=bucket)
        enforced.admin.sqs.create_queue(QueueName="OtherQueue")
        for name in ("a", "b", "c"):
            enforced.admin.s3.put_object(Bucket="inputs", Key=f"in/{name}.txt", Body=b"text")
        list(setup_aws.make(enforced.admin, config))
        yield enforced, config


@pytest.fixture
def enforced(made, server, monkeypatch):
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return made


def start(an_account, config, tmp_path):
    """Run setup, submitJob and startCluster as the control node, of a run of its own."""
    before = store.current(an_account.admin.s3, BUCKET, config.APP_NAME)
    if before and not before.ended:
        list(act.end_run(an_account.admin, before, time.time()))
    aws = an_account.as_role(iam.CONTROL_ROLE)
    run = setup.setup(aws, config)
    jobs = tmp_path / "jobs.json"
    names = ("a", "b", "c", "missing")
    jobs.write_text(json.dumps({"groups": [{"name": name} for name in names]}))
    submit.submit(aws, run, submit.read_jobs(jobs), tmp_path)
    return start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)


def test_from_setup_to_the_end_as_control_node_and_worker(enforced, tmp_path):
    an_account, config = enforced
    aws = an_account.as_role(iam.CONTROL_ROLE)
    run = start(an_account, config, tmp_path)
    assert start_cluster.wait_for_machines(aws, run, poll_seconds=0.2)
    start_cluster.say_why_not(aws, run)
    end = time.monotonic() + LIMIT
    wait = threading.Event().wait
    counts = monitor.watch(
        aws, run, local.PACE, sleep=lambda s: wait(s) if time.monotonic() < end else pytest.fail()
    )
    assert (counts.done, counts.failed) == (3, 1)
    made = an_account.admin.s3.get_object(Bucket="outputs", Key="out/a/done.txt")
    assert made["Body"].read() == b"TEXT"
    failures.show(aws.s3, run, run)
    logs.show(aws, run, "missing")
    logs.show(aws, run, "a", attempt="1.1")
    assert retry.retry(aws, config, store.latest(aws.s3, BUCKET, run.app_name), Wanted()) == 1
    assert retry.retry(aws, config, store.latest(aws.s3, BUCKET, run.app_name), Wanted()) == 0
    logs.show(aws, run, "missing", attempt="1.1")
    for kept in ("records/0123456789abcdef.done.json", "logs/x.txt", "run.json"):
        with pytest.raises(ClientError, match="not authorized to perform: s3:DeleteObject"):
            aws.s3.delete_object(Bucket=BUCKET, Key=f"{run.prefix}{kept}")


def test_check_and_status_may_ask_all_that_they_ask(enforced, tmp_path):
    an_account, config = enforced
    aws = an_account.as_role(iam.CONTROL_ROLE)
    run = start(an_account, config, tmp_path)
    _, found = all_checks.find_all(aws, config, fleet_file.FleetFile(), time.time())
    assert [one for one in found if one.outcome == "failed" or "permission" in one.what] == []
    assert {one.check for one in found if one.outcome == "not checkable"} == {
        *("quota", "placement score"),  # not known to this AWS
        *("image", "inputs"),
        "buckets",  # those that only the containers use
    }
    assert run_state.look(aws, run, time.time()).jobs.submitted == 4
    assert [one.app_name for one in resources.runs_of_account(aws.ec2, time.time())] == ["Mine"]
    list(act.end_machines(aws, run))


def test_the_auto_monitor_ends_a_run_as_its_role(enforced, tmp_path):
    an_account, config = enforced
    config = dataclasses.replace(config, AUTO_MONITOR=True, NOTIFY_EMAIL="ada@example.org")
    aws = an_account.as_role(iam.CONTROL_ROLE)
    run = start(an_account, config, tmp_path)
    end = time.monotonic() + LIMIT
    keys, admin = an_account.keys_of(iam.MONITOR_ROLE), an_account.admin
    event = {"bucket": BUCKET, "app_name": run.app_name, "run_id": run.run_id}
    with lambda_runtime.running(lambda_function.zipped(), tmp_path, keys) as function:
        while schedule_exists(aws.scheduler, run.schedule):
            minutes = lambda_runtime.minutes_to_pass(admin.sqs, run.queue_url)
            told = function(event, minutes)
            assert "raised" not in told, told
            if time.monotonic() >= end:
                pytest.fail(str(cloudwatch_logs.refusals(admin.logs, run.log_group, "Mine", 0)))
            threading.Event().wait(0.3)
    assert told["ended"] and not told["unfinished"], told
    ended = store.load(aws.s3, BUCKET, run.app_name, run.run_id)
    assert ended.ended and ended.mailed
    assert states.count(aws.s3, run).finished == 4


@pytest.mark.parametrize("role", [iam.CONTROL_ROLE, iam.MONITOR_ROLE])
def test_who_watches_a_run_may_read_why_its_containers_take_no_job(enforced, role):
    an_account, config = enforced
    run = setup.setup(an_account.as_role(iam.CONTROL_ROLE), config)
    stream = {"logGroupName": run.log_group, "logStreamName": f"{run.app_name}/worker/{role}"}
    an_account.admin.logs.create_log_stream(**stream)
    now = time.time()
    line = {
        "timestamp": int(now * 1000),
        "message": f"worker 0: accepts no jobs [disk_full]: told to {role}\n",
    }
    an_account.admin.logs.put_log_events(**stream, logEvents=[line])
    aws = an_account.as_role(role)
    heard = cloudwatch_logs.refusals(aws.logs, run.log_group, run.app_name, now - 1)
    assert heard[-1] == ("disk_full", f"told to {role}")


def test_more_and_fewer_machines_and_stop_as_the_control_node(enforced, tmp_path):
    an_account, config = enforced
    # No container can take its jobs: all four wait until the end.
    changes = {"AUTO_MONITOR": True, "CLUSTER_MACHINES": 1, "MEMORY": 900_000}
    config = dataclasses.replace(config, **changes)
    aws = an_account.as_role(iam.CONTROL_ROLE)
    run = start(an_account, config, tmp_path)
    two = setup.setup(aws, dataclasses.replace(config, CLUSTER_MACHINES=2))
    run = start_cluster.start(aws, config, two, fleet_file.FleetFile(), yes=True)
    assert [entry.target for entry in run.fleets] == [2]
    stop.stop(aws, run, dry_run=True)
    assert schedule_exists(aws.scheduler, run.schedule)
    stop.stop(aws, run, dry_run=False, pause=0.1)
    counts = stop.say_unfinished(aws, run)
    assert counts.submitted - counts.finished == 4
    assert not schedule_exists(aws.scheduler, run.schedule)
    assert not any(thing.costs for thing in resources.of_run(an_account.admin, run))


@pytest.mark.parametrize("role", ALL_ROLES)
def test_a_role_is_refused_another_queue_and_another_bucket(enforced, role):
    an_account, _ = enforced
    aws = an_account.as_role(role)
    queue = an_account.admin.sqs.get_queue_url(QueueName="OtherQueue")["QueueUrl"]
    for refused in (
        lambda: aws.sqs.receive_message(QueueUrl=queue),
        lambda: aws.sqs.send_message(QueueUrl=queue, MessageBody="x"),
        lambda: aws.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"]),
        lambda: aws.sqs.delete_queue(QueueUrl=queue),
        lambda: aws.s3.list_objects_v2(Bucket="other-bucket", Prefix="runs/Mine/"),
        lambda: aws.s3.get_object(Bucket="other-bucket", Key="runs/Mine/x"),
        lambda: aws.s3.put_object(Bucket="other-bucket", Key="runs/Mine/x", Body=b""),
        lambda: aws.s3.put_object(Bucket=BUCKET, Key="runs/Other/x", Body=b""),
        lambda: aws.iam.create_user(UserName="x"),
    ):
        with pytest.raises(ClientError, match="not authorized"):
            refused()


@pytest.mark.parametrize("role", [iam.CONTROL_ROLE, iam.MONITOR_ROLE])
def test_machines_of_another_app_are_out_of_reach(enforced, role):
    an_account, _ = enforced
    admin, aws = an_account.admin, an_account.as_role(role)
    tags = [{"Key": "distributed-something", "Value": "Other"}]
    made = admin.ec2.create_launch_template(
        LaunchTemplateName=f"Other-{role}",
        LaunchTemplateData={"ImageId": "ami-1"},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
    )["LaunchTemplate"]
    with pytest.raises(ClientError, match="not authorized to perform: ec2:DeleteLaunchTemplate"):
        aws.ec2.delete_launch_template(LaunchTemplateId=made["LaunchTemplateId"])


def test_no_role_but_ours_can_be_given_to_a_container(enforced):
    an_account, _ = enforced
    aws = an_account.as_role(iam.CONTROL_ROLE)
    container = {"name": "x", "image": "x", "memory": 100}
    for arn in ("arn:aws:iam::123456789012:role/Admin", _arn(iam.CONTROL_ROLE)):
        with pytest.raises(ClientError, match="not authorized to perform: iam:PassRole"):
            aws.ecs.register_task_definition(
                family="x", containerDefinitions=[container], taskRoleArn=arn
            )


def _arn(name):
    return f"arn:aws:iam::123456789012:role/{name}"


def test_a_role_for_containers_cannot_be_assumed_by_people(enforced):
    an_account, config = enforced
    list(setup_aws.make(an_account.admin, config))
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        an_account.admin.sts.assume_role(RoleArn=_arn(iam.TASK_ROLE), RoleSessionName="test")


def test_another_project_reports_which_permission_is_missing(enforced, tmp_path):
    an_account, config = enforced
    text = config.path.read_text().replace("'Mine'", "'Theirs'")
    (tmp_path / "config.py").write_text(text)
    aws = an_account.as_role(iam.CONTROL_ROLE)
    with pytest.raises((ClientError, ExplainedError)) as caught:
        setup.setup(aws, load_config(tmp_path))
    explained = aws_errors.explain(caught.value)
    assert "s3:PutObject" in explained.what + explained.fix
    assert "setupAWS" in explained.fix


@pytest.mark.parametrize(
    ("service", "call", "code", "need"),
    [
        (
            "ecs",
            lambda ecs: ecs.delete_cluster(cluster="c"),
            "AccessDeniedException",
            "ecs:DeleteCluster on resource: arn:aws:ecs:us-east-1:123456789012:cluster/c",
        ),
        (
            "ec2",
            lambda ec2: ec2.describe_spot_fleet_requests(),
            "UnauthorizedOperation",
            "ec2:DescribeSpotFleetRequests on resource: *",
        ),
        (
            "cloudwatch",
            lambda cloudwatch: cloudwatch.delete_alarms(AlarmNames=["a"]),
            "AccessDenied",
            "cloudwatch:DeleteAlarms on resource: ",
        ),
        ("s3", lambda s3: s3.list_objects_v2(Bucket=BUCKET), "AccessDenied", "s3:ListBucket"),
        ("s3", lambda s3: s3.head_bucket(Bucket=BUCKET), "403", ""),
    ],
    ids=["ecs", "ec2", "cloudwatch", "s3", "s3 HEAD"],
)
def test_a_refusal_has_the_form_of_its_service(enforced, one_user, service, call, code, need):
    with pytest.raises(ClientError) as error:
        call(one_user.client(service))
    assert error.value.response["Error"]["Code"] == code
    expected = f"not authorized to perform: {need}" if need else "Forbidden"
    assert expected in error.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def one_user(made):
    """A session of a user who may do nothing but list clusters."""
    keys = keys_of_user(made[0].admin.iam, "one", "ecs:ListClusters")
    return boto3.Session(*keys, region_name="us-east-1")


def test_what_a_policy_allows_is_answered(enforced, one_user):
    assert "clusterArns" in one_user.client("ecs").list_clusters()
