"""The resources of an app in an account, found by names and tags, so that two can be compared."""

from __future__ import annotations

import base64
import json
import re

from control.aws import fleet
from tests.conftest import BUCKET

# What differs between two runs that are the same: ids, times, tokens, revisions.
_VOLATILE = re.compile(
    r"\d{8}T\d{6}Z(-[0-9a-f]{8})?|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|sfr-[0-9a-f-]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-"
    r"[0-9a-f]{12}|cluster\d+|(?<=App:)\d+|/tmp[\w/.-]+"
)


def of_app(aws, config) -> dict:
    """Return all resources of the app, with everything masked that differs between runs."""
    name, cluster = config.APP_NAME, config.ECS_CLUSTER
    found = {
        "queues": _queues(aws, name),
        "log groups": [
            (group["logGroupName"], group.get("retentionInDays"))
            for group in aws.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        ],
        "cluster": _cluster(aws, cluster, f"{name}Service"),
        "task definitions": len(
            aws.ecs.list_task_definitions(familyPrefix=name, status="ACTIVE")["taskDefinitionArns"]
        ),
        "fleets": _fleets(aws, name),
        "launch templates": _launch_templates(aws, name),
        "alarms": len(aws.cloudwatch.describe_alarms(AlarmNamePrefix=f"{name}_")["MetricAlarms"]),
        "dashboards": [
            one["DashboardName"]
            for one in aws.cloudwatch.list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
        ],
        "schedules": [
            one["Name"] for one in aws.scheduler.list_schedules(NamePrefix=f"{name}_")["Schedules"]
        ],
        "objects": _objects(aws, name),
    }
    text = re.sub(rf"\b{name}(?=\b|[A-Z_])", "App", json.dumps(found, sort_keys=True))
    return json.loads(_VOLATILE.sub("*", text))


def of_account(aws, config) -> dict:
    """Return the roles of an account with their policies and profiles, and the auto-monitor."""
    number = aws.sts.get_caller_identity()["Account"]
    details = aws.iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
    kept = ("AssumeRolePolicyDocument", "RolePolicyList", "AttachedManagedPolicies", "Tags")
    found: dict = {
        role["RoleName"]: {
            **{key: role.get(key) for key in kept},
            "profiles": [p["InstanceProfileName"] for p in role["InstanceProfileList"]],
        }
        for role in details
    }
    for policy in _own_policies(aws.iam):
        version = {"PolicyArn": policy["Arn"], "VersionId": policy["DefaultVersionId"]}
        found[policy["PolicyName"]] = aws.iam.get_policy_version(**version)["PolicyVersion"][
            "Document"
        ]
    found["functions"] = [
        (f["FunctionName"], f["Role"], f["CodeSha256"])
        for f in aws.functions.list_functions()["Functions"]
    ]
    found["schedule groups"] = [
        group["Name"] for group in aws.scheduler.list_schedule_groups()["ScheduleGroups"]
    ]
    text = json.dumps(found, sort_keys=True).replace(number, "ACCOUNT")
    return json.loads(text.replace(config.APP_NAME, "App"))


def _own_policies(iam):
    return iam.list_policies(Scope="Local")["Policies"]


def empty(aws) -> None:
    """Take every role and function of the account away, with all that hangs on it."""
    for function in aws.functions.list_functions()["Functions"]:
        aws.functions.delete_function(FunctionName=function["FunctionName"])
    for group in aws.logs.describe_log_groups()["logGroups"]:
        aws.logs.delete_log_group(logGroupName=group["logGroupName"])
    for group in aws.scheduler.list_schedule_groups()["ScheduleGroups"]:
        if group["Name"] != "default":
            aws.scheduler.delete_schedule_group(Name=group["Name"])
    _remove_roles(aws.iam)


def _remove_roles(iam) -> None:
    for role in iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]:
        name = role["RoleName"]
        for profile in role["InstanceProfileList"]:
            same = {"InstanceProfileName": profile["InstanceProfileName"]}
            iam.remove_role_from_instance_profile(RoleName=name, **same)
            iam.delete_instance_profile(**same)
        for policy in role["RolePolicyList"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy["PolicyName"])
        for policy in role["AttachedManagedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=name)
    for policy in _own_policies(iam):
        iam.delete_policy(PolicyArn=policy["Arn"])
    for profile in iam.list_instance_profiles()["InstanceProfiles"]:
        iam.delete_instance_profile(InstanceProfileName=profile["InstanceProfileName"])


def difference(one, other, where=""):
    """Return where two states differ, and how."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            found
            for key in sorted(one.keys() | other.keys())
            for found in difference(one.get(key), other.get(key), f"{where}/{key}")
        ]
    return [] if one == other else [f"{where}: {one} instead of {other}"]


def machines_up(aws, config) -> int:
    """Return how many machines of the app run, whatever fleet they belong to."""
    tagged = {"Name": "tag:distributed-something", "Values": [config.APP_NAME]}
    up = {"Name": "instance-state-name", "Values": ["pending", "running"]}
    found = aws.ec2.describe_instances(Filters=[tagged, up])["Reservations"]
    return sum(len(reservation["Instances"]) for reservation in found)


def _queues(aws, name):
    answer = aws.sqs.list_queues(QueueNamePrefix=name)
    kept = ("VisibilityTimeout", "MessageRetentionPeriod", "ApproximateNumberOfMessages")
    found = {}
    for url in answer.get("QueueUrls", []):
        attributes = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        queue = url.rsplit("/", 1)[-1]
        found[queue] = {key: attributes["Attributes"][key] for key in kept}
    return found


def _cluster(aws, cluster, service):
    clusters = aws.ecs.describe_clusters(clusters=[cluster])["clusters"]
    if not any(c["status"] == "ACTIVE" for c in clusters):
        return None
    services = aws.ecs.describe_services(cluster=cluster, services=[service])["services"]
    return [
        (s["serviceName"], s["desiredCount"], s["taskDefinition"].rsplit("/", 1)[-1])
        for s in services
        if s["status"] == "ACTIVE"
    ]


def _fleets(aws, name):
    tag = {"Key": "distributed-something", "Value": name}
    return [
        (f["SpotFleetRequestState"] in fleet.LIVE_STATES, config["TargetCapacity"])
        for f in aws.ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
        if tag in f["Tags"] and f["SpotFleetRequestState"] in fleet.LIVE_STATES
        for config in [f["SpotFleetRequestConfig"]]
    ]


def _launch_templates(aws, name):
    tagged = [{"Name": "tag:distributed-something", "Values": [name]}]
    found = aws.ec2.describe_launch_templates(Filters=tagged)["LaunchTemplates"]
    return sorted(template["LaunchTemplateName"] for template in found)


def _objects(aws, name):
    """The keys of all runs of the app, and what their run.json says but for what is remembered."""
    found = {}
    # `sending` keeps a command that was interrupted after its last job: see records/delivery.py.
    remembered = ("memory", "machine_time", "submissions", "sending")
    listed = aws.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"runs/{name}/")
    for entry in listed.get("Contents", []):
        # How often a command was needed to send the jobs is no difference.
        found[re.sub(r"submitted/\d+-", "submitted/N-", entry["Key"])] = ""
        if entry["Key"].endswith("run.json"):
            content = json.loads(aws.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read())
            for one in content["fleets"]:
                data = one["template_data"]
                data["UserData"] = base64.b64decode(data["UserData"]).decode()
            found[entry["Key"]] = {k: v for k, v in content.items() if k not in remembered}
    return found
