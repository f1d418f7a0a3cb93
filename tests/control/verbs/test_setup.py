"""setup against the AWS on this computer."""

from __future__ import annotations

import dataclasses
import json

import pytest

from control.aws import ecs
from control.aws.s3 import list_keys
from control.aws.sqs import Counts, delete_queue, queue_counts
from control.errors import ExplainedError, UserError
from control.model import seconds
from control.records import store
from control.verbs import project as verb_project
from control.verbs import setup, submit
from tests.conftest import BUCKET


def test_everything_of_a_run_is_made(set_up):
    aws, config, run = set_up(MY_OWN=["a"])
    assert queue_counts(aws.sqs, run.queue_url) == Counts(0, 0, 0)
    service = ecs.service_state(aws.ecs, run)
    assert service and (service.desired, service.running, service.pending) == (0, 0, 0)
    groups = aws.logs.describe_log_groups(logGroupNamePrefix=config.LOG_GROUP_NAME)["logGroups"]
    assert groups[0]["retentionInDays"] == 60
    described = aws.ecs.describe_task_definition(taskDefinition=run.task_definition)
    (container,) = described["taskDefinition"]["containerDefinitions"]
    told = {entry["name"]: entry["value"] for entry in container["environment"]}
    assert told["RUN_ID"] == run.run_id and told["SQS_QUEUE_URL"] == run.queue_url
    assert told["MY_OWN"] == '["a"]'
    assert not container.get("privileged")
    snapshot = set(list_keys(aws.s3, BUCKET, f"{run.prefix}snapshot/"))
    names = {"config.py", "config.json", "task-definition.json"}
    assert snapshot == {f"{run.prefix}snapshot/{name}" for name in names}


def test_the_queue_keeps_messages_two_weeks_and_has_a_net_below_it(set_up):
    aws, config, run = set_up(JOB_RETRIES=5, SQS_MESSAGE_VISIBILITY=90)
    attributes = aws.sqs.get_queue_attributes(QueueUrl=run.queue_url, AttributeNames=["All"])
    found = attributes["Attributes"]
    assert found["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert found["VisibilityTimeout"] == "90"
    redrive = json.loads(found["RedrivePolicy"])
    assert int(redrive["maxReceiveCount"]) > 50
    assert redrive["deadLetterTargetArn"].endswith(f":{config.SQS_DEAD_LETTER_QUEUE}")


def test_setup_again_changes_nothing(set_up):
    aws, config, run = set_up()
    again = setup.setup(aws, config)
    assert again == run


def test_setup_in_mid_run_registers_a_changed_setting_and_says_it(set_up, capsys):
    aws, config, run = set_up()
    changed = dataclasses.replace(config, MEMORY=8000)
    again = setup.setup(aws, changed)
    assert again.run_id == run.run_id
    assert again.task_definition != run.task_definition
    assert "MEMORY 4000 -> 8000" in capsys.readouterr().out
    described = aws.ecs.describe_services(cluster=run.cluster, services=[run.service])
    assert described["services"][0]["taskDefinition"] == again.task_definition


def test_verbs_say_which_settings_changed_since_setup(set_up, capsys):
    _, config, run = set_up()
    capsys.readouterr()
    verb_project.say_changes(run, config)
    assert capsys.readouterr().out == ""
    verb_project.say_changes(run, dataclasses.replace(config, MEMORY=8000))
    assert "MEMORY 4000 -> 8000" in capsys.readouterr().out


def test_after_its_end_a_new_run_begins_even_within_the_same_second(set_up):
    aws, config, run = set_up()
    now = seconds("2030-01-01T00:00:00Z")
    store.change(aws.s3, run, lambda r: dataclasses.replace(r, ended="2026"))
    second = setup.setup(aws, config, clock=lambda: now)
    store.change(aws.s3, second, lambda r: dataclasses.replace(r, ended="2026"))
    third = setup.setup(aws, config, clock=lambda: now)
    assert (second.run_id, third.run_id) == ("20300101T000000Z", "20300101T000001Z")


def test_another_persons_live_run_is_only_taken_over_when_asked(set_up):
    aws, config, run = set_up()
    store.change(aws.s3, run, lambda r: dataclasses.replace(r, owner="arn:somebody-else"))
    with pytest.raises(ExplainedError, match="somebody-else") as caught:
        setup.setup(aws, config)
    assert "--take-over" in caught.value.fix
    assert setup.setup(aws, config, take_over=True).owner == run.owner


def test_a_bucket_that_is_not_there_is_the_users_mistake(embedded, project):
    with pytest.raises(UserError, match="There is no bucket no-such-bucket"):
        setup.setup(embedded, project(AWS_BUCKET="no-such-bucket"))


def test_without_the_roles_setupaws_is_asked_for(embedded, embedded_roles, project):
    role = {"RoleName": "DistributedSomethingTaskRole"}
    for policy in embedded.iam.list_attached_role_policies(**role)["AttachedPolicies"]:
        embedded.iam.detach_role_policy(**role, PolicyArn=policy["PolicyArn"])
    embedded.iam.delete_role(**role)
    with pytest.raises(ExplainedError) as caught:
        setup.setup(embedded, project())
    embedded_roles()
    assert "setupAWS" in caught.value.fix


def test_a_role_of_ones_own_needs_no_other(embedded, project):
    run = setup.setup(embedded, project(TASK_ROLE_ARN="arn:aws:iam::123456789012:role/ours"))
    described = embedded.ecs.describe_task_definition(taskDefinition=run.task_definition)
    assert described["taskDefinition"]["taskRoleArn"].endswith("role/ours")


def test_a_queue_that_somebody_deleted_is_said_and_setup_makes_it_again(set_up, tmp_path):
    aws, config, run = set_up()
    path = tmp_path / "jobs.json"
    path.write_text('{"groups": [{"n": 1}, {"n": 2}]}')
    delete_queue(aws.sqs, run.queue_url)
    with pytest.raises(ExplainedError, match="0 of 2 jobs were sent.*queue does not") as caught:
        submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    assert caught.value.fix.startswith("Run: python run.py setup")
    again = setup.setup(aws, config)
    assert submit.submit(aws, again, submit.read_jobs(path), tmp_path).sent == 2
