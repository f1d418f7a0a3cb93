"""setupAWS against moto: what it makes, that it survives any interruption, and --destroy."""

from __future__ import annotations

import dataclasses
import json
import shutil

import boto3
import pytest
from botocore.exceptions import ClientError

from control.aws import iam, lambda_function, sns
from control.aws.scheduler import ensure_schedule_group, schedule_name
from control.aws.session import AWS, caller_identity
from control.config import load_config
from control.errors import ExplainedError
from control.records import store
from control.verbs import setup_aws
from tests.conftest import ROOT, entry_of, new_run

NAMES = {
    *("Control", "Instance", "Execution", "Task", "Fleet", "Monitor", "Scheduler"),
}


class Broken(Exception):
    """The process is gone."""


class Breaking:
    """Return clients of the same AWS that fail after `left` requests; `calls` counts them."""

    def __init__(self):
        session = boto3.Session(region_name="us-east-1")
        session.events.register("before-call", self._before)
        self.clients = AWS(session)
        self.left = self.calls = 0

    def _before(self, **_):
        if self.left == 0:
            raise Broken
        self.left -= 1
        self.calls += 1

    def count(self, do):
        self.left, self.calls = 10_000, 0
        do(self.clients)
        return self.calls

    def break_at(self, call, do):
        self.left = call
        with pytest.raises(Broken):
            do(self.clients)


def everything(aws):
    """Return all that setupAWS can make, as AWS lists it."""
    found = {}
    for role in aws.iam.list_roles()["Roles"]:
        name = role["RoleName"]
        attached = aws.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        inline = aws.iam.list_role_policies(RoleName=name)["PolicyNames"]
        found[name] = sorted(p["PolicyName"] for p in attached), inline
    local = aws.iam.list_policies(Scope="Local")["Policies"]
    found["policies"] = sorted(p["PolicyName"] for p in local)
    profiles = aws.iam.list_instance_profiles()["InstanceProfiles"]
    found["profiles"] = [[r["RoleName"] for r in p["Roles"]] for p in profiles]
    functions = aws.functions.list_functions()["Functions"]
    found["functions"] = [(f["FunctionName"], f["CodeSha256"], f["Timeout"]) for f in functions]
    groups = aws.logs.describe_log_groups()["logGroups"]
    found["logs"] = [(g["logGroupName"], g.get("retentionInDays")) for g in groups]
    held = aws.scheduler.list_schedule_groups()["ScheduleGroups"]
    found["schedules"] = sorted(g["Name"] for g in held)
    return found


@pytest.fixture
def config(write_config):
    return load_config(write_config())


@pytest.fixture
def small(config):
    """A project with two roles of its own files/iam: every kind of thing, half the calls."""
    folder = config.project / "files/iam"
    folder.mkdir(parents=True)
    for name in ("instance-role.json", "monitor-role.json"):
        shutil.copy(ROOT / "files/iam" / name, folder)
    return config


def make(aws, config):
    return list(setup_aws.make(aws, config, wait=lambda seconds: None))


def test_all_roles_are_made_with_their_policies(aws, config):
    make(aws, config)
    found = everything(aws)
    assert {f"DistributedSomething{name}Role" for name in NAMES} <= found.keys()
    assert found["DistributedSomethingTaskRole"] == (["DistributedSomethingTaskRole-Test"], [])
    assert found["profiles"] == [["DistributedSomethingInstanceRole"]]
    for service in ("spotfleet", "spot", "ecs", "events"):
        assert f"AWSServiceRoleFor{service}" in found, sorted(found)
    assert found["logs"] == [("/aws/lambda/DistributedSomethingMonitor", 60)]
    assert found["schedules"] == ["DistributedSomething", "default"]


def test_again_changes_nothing_and_says_so(aws, config):
    make(aws, config)
    before = everything(aws)
    said = make(aws, config)
    assert everything(aws) == before
    assert all(line.startswith(("already there", "there")) for line in said)


def test_broken_off_after_any_call_the_next_setupaws_completes_it(aws, small, sample):
    config = small
    make(aws, config)
    wanted = everything(aws)
    wipe(aws, config)
    broken = Breaking()
    calls = broken.count(lambda clients: make(clients, config))
    print(f"setupAWS makes {calls} calls")
    for call in sample(range(calls), 8):
        wipe(aws, config)
        broken.break_at(call, lambda clients: make(clients, config))
        make(aws, config)
        assert everything(aws) == wanted, call


def wipe(aws, config):
    list(setup_aws.destroy(aws, config))


def test_destroy_leaves_awss_own_roles_only(aws, config):
    make(aws, config)
    said = wipe_and_say(aws, config)
    found = everything(aws)
    assert not [name for name in found if name.startswith("DistributedSomething")]
    assert any(name.startswith("AWSServiceRole") for name in found)
    assert (found["policies"], found["profiles"], found["functions"]) == ([], [], [])
    assert (found["logs"], found["schedules"]) == ([], ["default"])
    assert "kept: service-linked roles, which are AWS's own" in said


def test_destroy_says_before_that_the_roles_serve_other_regions_too(aws, config):
    make(aws, config)
    saying = setup_aws.destroy(aws, config)
    for line in saying:
        if "other regions" in line:
            break
    else:
        raise AssertionError("not said")
    assert "us-east-1" in line and "AWS_REGION" in line
    # The refusal comes while all of them still exist.
    found = everything(aws)
    assert "DistributedSomethingMonitorRole" in found and found["functions"]
    list(saying)
    # What is kept for another project is not removed, so there is nothing to say.
    assert not any("other regions" in line for line in wipe_and_say_beside_another(aws, config))


def wipe_and_say_beside_another(aws, config):
    other = dataclasses.replace(config, APP_NAME="Other")
    make(aws, config)
    make(aws, other)
    return wipe_and_say(aws, config)


def wipe_and_say(aws, config):
    return list(setup_aws.destroy(aws, config))


def test_destroy_broken_off_after_any_call_is_completed_by_the_next(aws, small, sample):
    config = small
    make(aws, config)
    broken = Breaking()
    calls = broken.count(lambda clients: wipe(clients, config))
    wanted = everything(aws)
    print(f"setupAWS --destroy makes {calls} calls")
    for call in sample(range(calls), 8):
        make(aws, config)
        broken.break_at(call, lambda clients: wipe(clients, config))
        wipe(aws, config)
        assert everything(aws) == wanted, call


def test_projects_add_up_and_the_last_one_takes_the_roles_along(aws, config, write_config):
    other = load_config(write_config(APP_NAME="Other", AWS_BUCKET="other-bucket"))
    aws.s3.create_bucket(Bucket="other-bucket")
    make(aws, config)
    make(aws, other)
    assert everything(aws)["DistributedSomethingTaskRole"][0] == [
        "DistributedSomethingTaskRole-Other",
        "DistributedSomethingTaskRole-Test",
    ]
    assert "kept: the roles and the auto-monitor, for Other" in wipe_and_say(aws, config)
    assert everything(aws)["DistributedSomethingTaskRole"][0] == [
        "DistributedSomethingTaskRole-Other"
    ]
    wipe(aws, other)
    assert "DistributedSomethingTaskRole" not in everything(aws)


def test_a_changed_bucket_is_in_the_policy_however_often_it_changes(aws, config, write_config):
    for number in range(7):
        bucket = f"bucket-{number}"
        make(aws, load_config(write_config(AWS_BUCKET=bucket)))
    arn = "arn:aws:iam::123456789012:policy/DistributedSomethingTaskRole-Test"
    version = aws.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    held = aws.iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
    assert "bucket-6" in json.dumps(held["Document"])
    assert "bucket-5" not in json.dumps(held["Document"])


def test_a_live_run_keeps_its_roles(aws, config):
    make(aws, config)
    store.create(aws.s3, dataclasses.replace(new_run(), fleets=(entry_of(fleet_id="sfr-1"),)))
    with pytest.raises(ExplainedError, match="may still have machines"):
        wipe(aws, config)
    assert "DistributedSomethingTaskRole" in everything(aws)


def test_the_function_is_brought_up_to_date(aws, config):
    make(aws, config)
    aws.functions.update_function_code(FunctionName=lambda_function.NAME, ZipFile=b"older")
    aws.functions.update_function_configuration(FunctionName=lambda_function.NAME, Timeout=3)
    said = make(aws, config)
    assert "updated: function DistributedSomethingMonitor (the auto-monitor)" in said
    code = lambda_function.zipped()
    assert lambda_function.arn(aws.functions, code)[1]
    held = aws.functions.get_function_configuration(FunctionName=lambda_function.NAME)
    assert held["Timeout"] == 300


def test_a_role_that_lambda_cannot_assume_yet_is_waited_for():
    refusals = 2
    waits = []

    class Functions:
        class exceptions:
            ResourceNotFoundException = KeyError

        def get_function_configuration(self, **_):
            raise KeyError

        def create_function(self, **_):
            if len(waits) < refusals:
                detail = "The role defined for the function cannot be assumed by Lambda."
                answer = {"Error": {"Code": "InvalidParameterValueException", "Message": detail}}
                raise ClientError(answer, "CreateFunction")

        def put_function_event_invoke_config(self, **_):
            return {}

        def get_waiter(self, name):
            return self

        def wait(self, **_):
            return None

    assert lambda_function.ensure(Functions(), "role", b"", waits.append) == "made"
    assert len(waits) == refusals


class Deleting:
    """A Scheduler that deletes our group during the first `looks` questions."""

    class exceptions:
        class ConflictException(ClientError):
            pass

        class ResourceNotFoundException(ClientError):
            pass

    def __init__(self, looks):
        self.looks, self.made = looks, False

    def create_schedule_group(self, Name):
        if self.looks:
            raise self.exceptions.ConflictException({}, "CreateScheduleGroup")
        self.made = True

    def get_schedule_group(self, Name):
        self.looks -= 1
        if not self.looks:
            raise self.exceptions.ResourceNotFoundException({}, "GetScheduleGroup")
        return {"State": "DELETING"}


def test_a_schedule_group_that_is_being_deleted_is_waited_for():
    scheduler, waits = Deleting(looks=3), []
    ensure_schedule_group(scheduler, waits.append)
    assert scheduler.made and len(waits) == 3


def test_a_schedule_group_that_stays_in_deletion_is_said():
    waits = []
    with pytest.raises(ExplainedError, match="still deletes the schedule group"):
        ensure_schedule_group(Deleting(looks=10_000), waits.append)
    assert 60 <= sum(waits) <= 300


def test_the_zip_is_the_same_each_time_and_holds_control_only():
    import io
    import zipfile

    code = lambda_function.zipped()
    assert code == lambda_function.zipped()
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        names = set(archive.namelist())
    assert names == {str(path.relative_to(ROOT)) for path in (ROOT / "control").rglob("*.py")}


def test_the_roles_are_printed_for_sites_that_make_them_otherwise(aws, config):
    shown = json.loads(setup_aws.printed(aws, config))
    known = iam.policy_names(config, "123456789012")
    assert shown == iam.read_policy(ROOT / "files/iam", known)


def test_a_session_without_a_name_is_the_same_owner_tomorrow():
    class Sts:
        def __init__(self, session):
            self.session = session

        def get_caller_identity(self):
            arn = f"arn:aws:sts::1:assumed-role/{iam.CONTROL_ROLE}/{self.session}"
            return {"Account": "1", "Arn": arn}

    first, second, named = (
        caller_identity(Sts(session)).arn
        for session in ("botocore-session-1700000000", "botocore-session-1800000000", "ada")
    )
    assert first == second
    assert named.endswith("/ada")


def test_the_topic_is_asked_for_once_and_removed_with_the_project(aws, write_config):
    config = load_config(write_config(NOTIFY_EMAIL="ada@example.org"))
    arn, confirmed = sns.subscribe(aws.sns, "ada@example.org")
    assert arn.endswith(sns.topic("ada@example.org"))
    again, _ = sns.subscribe(aws.sns, "ada@example.org")
    assert again == arn
    said = wipe_and_say(aws, config)
    assert f"removed: topic {sns.topic('ada@example.org')}" in said
    assert aws.sns.list_topics()["Topics"] == []


def test_two_addresses_never_share_a_topic():
    assert sns.topic("a.b@example.org") != sns.topic("a-b@example.org")


@pytest.mark.parametrize("length", [1, 47, 48, 61])
def test_a_schedules_name_is_one_that_aws_takes(length):
    made = schedule_name("A" * length, "20260101T000000Z")
    assert len(made) <= 64
    if length > 47:
        assert made != schedule_name("A" * length + "B", "20260101T000000Z")
