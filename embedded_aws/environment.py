"""The environment variables of clients and of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from embedded_aws.model.things import TaskDefinition

ACCESS_KEY = "embedded"
SECRET_KEY = "embedded"
REGION = "us-east-1"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def client_environment(endpoint: str, state_folder: Path) -> dict[str, str]:
    """What makes boto3 and the AWS CLI speak to this endpoint, and to nothing else.

    Other variables AWS_... must be taken out of the environment: AWS_PROFILE for one, set to
    anything, even to nothing, makes boto3 look for a profile of that name.
    """
    nowhere = str(state_folder / "no-such-file")
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def task_environment(
    client: Mapping[str, str],
    agent_uri: str,
    region: str,
    definition: TaskDefinition,
    credentials_uri: str = "",
) -> dict[str, str]:
    """What a container gets: its definition's own variables, and what the ECS agent adds.

    With `credentials_uri` no key is among them: the task role's credentials are fetched there.
    """
    if credentials_uri:
        client = {name: value for name, value in client.items() if name not in KEYS}
        client["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = credentials_uri
    container = definition.details["containerDefinitions"][0]
    return {
        **{pair["name"]: pair["value"] for pair in container.get("environment") or []},
        **client,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "ECS_AGENT_URI": agent_uri,
        "ECS_CONTAINER_METADATA_URI_V4": f"{agent_uri}/v4",
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
        "PYTHONUNBUFFERED": "1",
    }
