"""The ECS agent as a container sees it: environment, task protection, credentials, metadata.

ECS guide, task-scale-in-protection-endpoint and task-metadata-endpoint-v4. A task's URLs are
ECS_AGENT_URI = .../ecs-agent/TASK-ID and ECS_CONTAINER_METADATA_URI_V4 = .../ecs-agent/TASK-ID/v4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from embedded_aws.actions import at
from embedded_aws.model import Refused
from embedded_aws.model.events import ProtectTask
from embedded_aws.model.tasks import is_protected
from embedded_aws.model.things import Task
from embedded_aws.worlds import Place, Worlds

PREFIX = "/ecs-agent/"
CREDENTIALS = "credentials"
CREDENTIAL_SECONDS = 6 * 3600  # guess: as long as the agent's credentials last
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
Answer = tuple[str, dict[str, Any]]


class Agent:
    """A WSGI application for all paths below PREFIX."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request."""
        status, answer = self._answer(environ)
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        task_id, _, path = environ["PATH_INFO"][len(PREFIX) :].partition("/")
        found = self._worlds.find_task(task_id)
        if found is None:
            return "404 Not Found", {"error": {"Code": "ResourceNotFoundException"}}
        place, task = found
        method = environ["REQUEST_METHOD"]
        if path == "task-protection/v1/state" and method == "GET":
            protected = is_protected(task, self._worlds.now())
            return "200 OK", {"protection": _protection(task.arn, protected, task.protected_until)}
        if path == "task-protection/v1/state" and method == "PUT":
            return self._protect(place, task, environ)
        if path == CREDENTIALS and method == "GET":
            return "200 OK", _credentials(place, task)
        if path in ("v4", "v4/task") and method == "GET":
            return "200 OK", _metadata(place, task, path)
        return "404 Not Found", {"error": {"Code": "ResourceNotFoundException"}}

    def _protect(self, place: Place, task: Task, environ: dict[str, Any]) -> Answer:
        try:
            wanted = json.loads(environ["wsgi.input"].read())
            enabled, minutes = wanted["ProtectionEnabled"], wanted.get("ExpiresInMinutes")
        except (ValueError, KeyError, AttributeError, TypeError):
            return _error(task, "InvalidParameterException", "ProtectionEnabled must be given.")
        if not isinstance(enabled, bool) or not isinstance(minutes, int | None):
            return _error(task, "InvalidParameterException", "A value has the wrong type.")
        try:
            until = self._worlds.act(*place, ProtectTask(task.cluster, task.arn, enabled, minutes))
        except Refused as refused:
            if refused.code == "InvalidParameterException":
                return _error(task, refused.code, refused.message)
            return "200 OK", {
                "failure": {"Arn": task.arn, "Reason": refused.code, "Detail": refused.message}
            }
        return "200 OK", {"protection": _protection(task.arn, enabled, until)}


def _error(task: Task, code: str, message: str) -> Answer:
    return "400 Bad Request", {"error": {"Arn": task.arn, "Code": code, "Message": message}}


def _protection(arn: str, enabled: bool, until: float) -> dict[str, Any]:
    expires = {"ExpirationDate": at(until).isoformat(timespec="seconds")} if enabled else {}
    return {"ProtectionEnabled": enabled, **expires, "TaskArn": arn}


def _metadata(place: Place, task: Task, path: str) -> dict[str, Any]:
    account, region = place
    container = task.definition.details["containerDefinitions"][0]
    about = {
        "DockerId": task.id,
        "Name": container["name"],
        "Image": container.get("image", ""),
        "KnownStatus": task.status,
        "DesiredStatus": task.desired,
        "Limits": {"CPU": task.definition.cpu, "Memory": task.definition.memory},
        "ContainerARN": task.arn.replace(":task/", ":container/"),
    }
    if path == "v4":
        return about
    return {
        "Cluster": f"arn:aws:ecs:{region}:{account}:cluster/{task.cluster}",
        "TaskARN": task.arn,
        "Family": task.definition.family,
        "Revision": task.definition.arn.rsplit(":", 1)[-1],
        "DesiredStatus": task.desired,
        "KnownStatus": task.status,
        "LaunchType": "EC2",
        "Containers": [about],
    }


def task_environment(
    client: Mapping[str, str], endpoint: str, region: str, task: Task
) -> dict[str, str]:
    """Return a container's variables: its definition's own and those that the ECS agent adds.

    Without a task role the container gets the keys of `client`; with one it fetches the role's
    credentials here instead (ECS guide, task-iam-roles). The agent's endpoint is on loopback, where
    boto3 takes one by AWS_CONTAINER_CREDENTIALS_FULL_URI.
    """
    agent = f"{endpoint}{PREFIX}{task.id}"
    keys = {name: client[name] for name in KEYS}
    if _has_role(task):
        keys = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{agent}/{CREDENTIALS}"}
    container = task.definition.details["containerDefinitions"][0]
    return {
        **{pair["name"]: pair["value"] for pair in container.get("environment") or []},
        **{name: value for name, value in client.items() if name not in KEYS},
        **keys,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "ECS_AGENT_URI": agent,
        "ECS_CONTAINER_METADATA_URI_V4": f"{agent}/v4",
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
        "PYTHONUNBUFFERED": "1",
    }


def _role(task: Task) -> str:
    return str(task.definition.details.get("taskRoleArn") or "")


def _has_role(task: Task) -> bool:
    try:
        iam_backends[task.arn.split(":")[4]]["aws"].get_role_by_arn(_role(task))
    except NotFoundException:
        return False
    return True


def _credentials(place: Place, task: Task) -> dict[str, Any]:
    account, region = place
    assumed = sts_backends[account]["aws"].assume_role(
        region_name=region,
        role_session_name=task.id,
        role_arn=_role(task),
        policy="",
        duration=CREDENTIAL_SECONDS,
        external_id="",
    )
    return {
        "RoleArn": _role(task),
        "AccessKeyId": assumed.access_key_id,
        "SecretAccessKey": assumed.secret_access_key,
        "Token": assumed.session_token,
        "Expiration": assumed.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
