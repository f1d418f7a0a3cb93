"""What a launch template's user data tells the ECS agent (ECS guide, ecs-agent-config)."""

from __future__ import annotations

import json
import re

from embedded_aws.model.things import AgentConfig

# As a line of a here-document for /etc/ecs/ecs.config, or written there by echo.
_SETTING = re.compile(
    r"""^\s*(?:echo\s+)?(?P<quote>["']?)(?P<name>ECS_[A-Z_]+)=(?P<value>.*?)(?P=quote)\s*(?:>>.*)?$""",
    re.MULTILINE,
)


def agent_config(user_data: str) -> AgentConfig | None:
    """The agent's settings, or None if the user data does not speak of ECS at all.

    Raises ValueError if ECS_INSTANCE_ATTRIBUTES is no JSON object, which the agent refuses.
    """
    settings = {found["name"]: _unquoted(found["value"]) for found in _SETTING.finditer(user_data)}
    if not settings:
        return None
    attributes = json.loads(settings.get("ECS_INSTANCE_ATTRIBUTES", "{}"))
    if not isinstance(attributes, dict):
        raise ValueError("ECS_INSTANCE_ATTRIBUTES is not a JSON object")
    return AgentConfig(
        cluster=settings.get("ECS_CLUSTER", "default"),
        attributes={str(name): str(value) for name, value in attributes.items()},
        reserved_memory=int(settings.get("ECS_RESERVED_MEMORY", "0")),
        spot_draining=settings.get("ECS_ENABLE_SPOT_INSTANCE_DRAINING") == "true",
    )


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
