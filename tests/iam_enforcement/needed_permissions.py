"""Which permissions a request needs: actions, resources and condition keys, as the Service
Authorization Reference lists them for the operations that this project uses.

What is not listed here needs the action of its own name on "*".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.iam_enforcement.policy_evaluation import Need

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """A request: service as boto3 names it, parameters in botocore's shapes."""

    service: str
    operation: str
    params: Mapping[str, Any]
    account: str
    region: str
    tags_of: Callable[[str], Tags]  # of an EC2 resource, by its id

    def arn(self, rest: str, *, region: bool = True, account: bool = True) -> str:
        """Return the ARN of a resource of the request's service, account and region."""
        place = (self.region if region else "", self.account if account else "")
        return ":".join(("arn:aws", self.service, *place, rest))


# Operations whose permission has another name.
_ACTIONS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "lambda:Invoke": "lambda:InvokeFunction",
    "service-quotas:GetServiceQuota": "servicequotas:GetServiceQuota",
    "s3:HeadBucket": "s3:ListBucket",
}


def needs(call: Call) -> list[Need]:
    """Return every permission that the request needs."""
    name = f"{call.service}:{call.operation}"
    action = _ACTIONS.get(name, name)
    find = _RESOURCES.get(call.service)
    found = list(find(call)) if find else []
    own = [Need(action, resource, context) for resource, context in found]
    return [*(own or [Need(action)]), *_tagging(call), *_passing(call)]


Resource = tuple[str, Tags]


def _sqs(call: Call) -> Iterator[Resource]:
    name = call.params.get("QueueName") or call.params.get("QueueUrl", "").rsplit("/", 1)[-1]
    if name:
        yield call.arn(name), {}


def _logs(call: Call) -> Iterator[Resource]:
    if "logGroupName" in call.params:
        group = f"log-group:{call.params['logGroupName']}"
        stream = call.params.get("logStreamName")
        yield call.arn(f"{group}:log-stream:{stream}" if stream else group), {}


def _cloudwatch(call: Call) -> Iterator[Resource]:
    if call.operation == "DescribeAlarms":
        return
    params = call.params
    for name in [*params.get("AlarmNames", ()), *_one(params, "AlarmName")]:
        yield call.arn(f"alarm:{name}"), {}
    for name in [*params.get("DashboardNames", ()), *_one(params, "DashboardName")]:
        yield call.arn(f"dashboard/{name}", region=False), {}


def _ssm(call: Call) -> Iterator[Resource]:
    for name in _one(call.params, "Name"):
        public = name.startswith("/aws/")
        yield call.arn(f"parameter{name}", account=not public), {}


def _sns(call: Call) -> Iterator[Resource]:
    for arn in _one(call.params, "TopicArn"):
        yield arn, {}
    if call.operation == "CreateTopic":
        yield call.arn(call.params["Name"]), {}


def _scheduler(call: Call) -> Iterator[Resource]:
    if call.operation.endswith("ScheduleGroup"):
        yield call.arn(f"schedule-group/{call.params['Name']}"), {}
    elif "Name" in call.params:
        group = call.params.get("GroupName", "default")
        yield call.arn(f"schedule/{group}/{call.params['Name']}"), {}


def _lambda(call: Call) -> Iterator[Resource]:
    for name in _one(call.params, "FunctionName"):
        yield call.arn(f"function:{name}"), {}


def _iam(call: Call) -> Iterator[Resource]:
    params = call.params
    if "InstanceProfileName" in params:
        yield call.arn(f"instance-profile/{params['InstanceProfileName']}", region=False), {}
    elif "RoleName" in params:
        yield call.arn(f"role/{params['RoleName']}", region=False), {}
    for arn in _one(params, "PolicyArn"):
        yield arn, {}


def _sts(call: Call) -> Iterator[Resource]:
    for arn in _one(call.params, "RoleArn"):
        yield arn, {}


def _ecs(call: Call) -> Iterator[Resource]:
    params = call.params
    cluster = str(params.get("cluster", "default")).rsplit("/", 1)[-1]
    inside = {"ecs:cluster": call.arn(f"cluster/{cluster}")}
    match call.operation:
        case "DescribeClusters":
            named = params.get("clusters") or ["default"]
            yield from ((call.arn(f"cluster/{name}"), {}) for name in named)
        case "DeleteCluster" | "DeregisterContainerInstance" | "ListContainerInstances":
            yield call.arn(f"cluster/{cluster}"), {}
        case "ListTasks":
            yield "*", inside
        case "CreateService" | "UpdateService" | "DeleteService" | "DescribeServices":
            names = [*params.get("services", ()), *_one(params, "service", "serviceName")]
            for name in names:
                yield call.arn(f"service/{cluster}/{name.rsplit('/', 1)[-1]}"), inside
        case _:
            for arn in [*params.get("tasks", ()), *params.get("containerInstances", ())]:
                yield arn, inside


def _ec2(call: Call) -> Iterator[Resource]:
    params = call.params
    kinds = {
        "TerminateInstances": ("instance", params.get("InstanceIds", ())),
        "CancelSpotFleetRequests": ("spot-fleet-request", params.get("SpotFleetRequestIds", ())),
        "ModifySpotFleetRequest": ("spot-fleet-request", _one(params, "SpotFleetRequestId")),
        "DeleteLaunchTemplate": ("launch-template", _one(params, "LaunchTemplateId")),
    }
    kind, ids = kinds.get(call.operation, ("", ()))
    for each in ids:
        tags = call.tags_of(each)
        yield call.arn(f"{kind}/{each}"), {f"aws:ResourceTag/{k}": v for k, v in tags.items()}


def _tagging(call: Call) -> Iterator[Need]:
    """Tags given at creation need a permission of their own."""
    params, made = call.params, call.operation
    if call.service == "ec2":
        asked = params.get("SpotFleetRequestConfig", params)
        if asked.get("TagSpecifications"):
            yield Need("ec2:CreateTags", "*", {"ec2:CreateAction": made})
    elif call.service == "ecs" and params.get("tags"):
        yield Need("ecs:TagResource", "*", {"ecs:CreateAction": made})
    elif call.service == "logs" and params.get("tags"):
        yield from (Need("logs:TagResource", arn) for arn, _ in _logs(call))
    elif call.service == "cloudwatch" and params.get("Tags"):
        yield from (Need("cloudwatch:TagResource", arn) for arn, _ in _cloudwatch(call))
    elif call.service == "sqs" and params.get("tags"):
        yield from (Need("sqs:TagQueue", arn) for arn, _ in _sqs(call))


def _passing(call: Call) -> Iterator[Need]:
    """A role that is handed to a service needs iam:PassRole; so does what a fleet will launch."""
    params = call.params
    match call.service, call.operation:
        case "ecs", "RegisterTaskDefinition":
            yield from _pass("ecs-tasks", *_one(params, "taskRoleArn", "executionRoleArn"))
        case "ec2", "RequestSpotFleet":
            yield Need("ec2:RunInstances")
            yield from _pass("spotfleet", params["SpotFleetRequestConfig"]["IamFleetRole"])
        case "scheduler", "CreateSchedule" | "UpdateSchedule":
            yield from _pass("scheduler", params["Target"]["RoleArn"])
        case "lambda", "CreateFunction" | "UpdateFunctionConfiguration":
            yield from _pass("lambda", *_one(params, "Role"))


def _pass(service: str, *arns: str) -> Iterator[Need]:
    context = {"iam:PassedToService": f"{service}.amazonaws.com"}
    yield from (Need("iam:PassRole", arn, context) for arn in arns)


def _one(params: Mapping[str, Any], *names: str) -> list[str]:
    return [params[name] for name in names if params.get(name)]


_RESOURCES: dict[str, Callable[[Call], Iterator[Resource]]] = {
    "cloudwatch": _cloudwatch,
    "ec2": _ec2,
    "ecs": _ecs,
    "iam": _iam,
    "lambda": _lambda,
    "logs": _logs,
    "scheduler": _scheduler,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "sts": _sts,
}
