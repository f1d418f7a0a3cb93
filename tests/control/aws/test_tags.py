"""Everything that a run makes carries its tags, where AWS takes tags."""

from __future__ import annotations

import json

import pytest

from control.aws import cloudwatch, tags
from control.monitoring import act
from control.user_files import fleet_file
from control.verbs import start_cluster, submit


@pytest.fixture
def started(set_up, tmp_path):
    """A run with a requested machine, an alarm and a dashboard."""
    aws, config, run = set_up(MEMORY=900_000, CLUSTER_MACHINES=1)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"groups": [{"n": 1}]}))
    submit.submit(aws, run, submit.read_jobs(path), tmp_path)
    given = []
    aws.cloudwatch.meta.events.register(
        "before-parameter-build.cloudwatch.PutDashboard", lambda params, **_: given.append(params)
    )
    run = start_cluster.start(aws, config, run, fleet_file.FleetFile(), yes=True)
    cloudwatch.put_alarm(aws.cloudwatch, run, "i-1", 4)
    yield aws, config, run, given[0]
    list(act.end_machines(aws, run))


def plain(listed, key="Key", value="Value"):
    return {tag[key]: tag[value] for tag in listed}


def queue(name):
    def of(aws, config, run):
        url = aws.sqs.get_queue_url(QueueName=getattr(config, name))["QueueUrl"]
        return aws.sqs.list_queue_tags(QueueUrl=url)["Tags"]

    return of


def cluster(aws, config, run):
    (found,) = aws.ecs.describe_clusters(clusters=[run.cluster], include=["TAGS"])["clusters"]
    return plain(found["tags"], "key", "value")


def service(aws, config, run):
    found = aws.ecs.describe_services(cluster=run.cluster, services=[run.service], include=["TAGS"])
    return plain(found["services"][0]["tags"], "key", "value")


def task_definition(aws, config, run):
    found = aws.ecs.describe_task_definition(taskDefinition=run.task_definition, include=["TAGS"])
    return plain(found["tags"], "key", "value")


def log_group(aws, config, run):
    return aws.logs.list_tags_log_group(logGroupName=run.log_group)["tags"]


def fleet(aws, config, run):
    ids = [run.fleets[0].fleet_id]
    found = aws.ec2.describe_spot_fleet_requests(SpotFleetRequestIds=ids)
    return plain(found["SpotFleetRequestConfigs"][0]["Tags"])


def launch_template(aws, config, run):
    names = [run.fleets[0].template]
    found = aws.ec2.describe_launch_templates(LaunchTemplateNames=names)
    return plain(found["LaunchTemplates"][0]["Tags"])


def alarm(aws, config, run):
    (name,) = cloudwatch.alarms_of_run(aws.cloudwatch, run)
    (found,) = aws.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    listed = aws.cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])
    return plain(listed["Tags"])


def of_template(kind):
    """Return the tags of each machine and disk that EC2 makes from the template."""

    def of(aws, config, run):
        given = run.fleets[0].template_data["TagSpecifications"]
        return plain(next(s["Tags"] for s in given if s["ResourceType"] == kind))

    return of


def test_everything_of_a_run_is_tagged(started):
    aws, config, run, dashboard = started
    found = {
        what: of(aws, config, run)
        for what, of in {
            "queue": queue("SQS_QUEUE_NAME"),
            "dead-letter queue": queue("SQS_DEAD_LETTER_QUEUE"),
            "cluster": cluster,
            "service": service,
            "task definition": task_definition,
            "log group": log_group,
            "fleet": fleet,
            "launch template": launch_template,
            "machines": of_template("instance"),
            "disks": of_template("volume"),
            "alarm": alarm,
        }.items()
    }
    # The embedded AWS returns no tags of dashboards.
    found["dashboard"] = plain(dashboard["Tags"])
    ours = tags.of_run(run)
    assert {what: {k: t.get(k) for k in ours} for what, t in found.items()} == dict.fromkeys(
        found, ours
    )


def test_a_boto3_that_knows_no_tags_of_dashboards_makes_them_all_the_same(set_up):
    aws, _, run = set_up()
    call = aws.cloudwatch.meta.service_model.operation_model("PutDashboard")
    members = call.input_shape.members
    known = members.pop("Tags")
    try:
        cloudwatch.put_dashboard(aws.cloudwatch, run, {"widgets": []})
    finally:
        members["Tags"] = known
    assert cloudwatch.dashboard_exists(aws.cloudwatch, run)
