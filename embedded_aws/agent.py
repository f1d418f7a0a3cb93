"""What the ECS agent serves to containers: task protection, credentials and metadata.

ECS guide, task-scale-in-protection-endpoint and task-metadata-endpoint-v4. A task's URLs are
ECS_AGENT_URI = .../ecs-agent/TASK-ID and ECS_CONTAINER_METADATA_URI_V4 = .../ecs-agent/TASK-ID/v4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from embedded_aws import credentials
from embedded_aws.actions import at
from embedded_aws.engine import Engine, Place
from embedded_aws.model import Refused
from embedded_aws.model.events import ProtectTask
from embedded_aws.model.tasks import is_protected
from embedded_aws.model.things import Task

PREFIX = "/ecs-agent/"
CREDENTIALS = "credentials"
Answer = tuple[str, dict[str, Any]]


class Agent:
    """A WSGI application for all paths below PREFIX."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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
        found = self._engine.find_task(task_id)
        if found is None:
            return "404 Not Found", {"error": {"Code": "ResourceNotFoundException"}}
        place, task = found
        method = environ["REQUEST_METHOD"]
        if path == "task-protection/v1/state" and method == "GET":
            protected = is_protected(task, self._engine.now())
            return "200 OK", {"protection": _protection(task.arn, protected, task.protected_until)}
        if path == "task-protection/v1/state" and method == "PUT":
            return self._protect(place, task, environ)
        if path == CREDENTIALS and method == "GET":
            return "200 OK", credentials.of_task(task.definition, task.id, *place)
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
            until = self._engine.act(*place, ProtectTask(task.cluster, task.arn, enabled, minutes))
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
