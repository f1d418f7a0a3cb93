"""The environment of a container: every setting under its own name, as text (contract 1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from control.config import Config


def of_container(values: Mapping[str, Any], queue_url: str, run_id: str) -> dict[str, str]:
    """Return the environment of a container; CONFIG_TYPES names the values that are not text."""
    types = {name: _type(value) for name, value in values.items() if not isinstance(value, str)}
    return {
        **{name: _text(value) for name, value in values.items()},
        "SQS_QUEUE_URL": queue_url,
        "RUN_ID": run_id,
        "CONFIG_TYPES": json.dumps(types, separators=(",", ":")),
    }


def changes(at_setup: Config, now: Config) -> list[str]:
    """Return what differs between the settings at setup and now: 'MEMORY 15000 -> 30000'."""
    old, new = at_setup.container_values(), now.container_values()
    return [
        f"{name} {old.get(name, 'not set')} -> {new.get(name, 'not set')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _type(value: Any) -> str:
    if value is None:
        return "none"
    return type(value).__name__ if isinstance(value, bool | int | float) else "json"
