"""The fleet file: the values that belong to the AWS account itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control.errors import UserError
from control.user_files import json_file
from control.user_files.job import without_comments

AUTO = "auto"
_EXAMPLE = "files/exampleFleet.json"
# What the example files of Distributed-Something hold for their reader to replace.
_PLACEHOLDER = re.compile(r"X{4,}|W{4,}|Z{3,}|your-key-file")
_OURS = ("IamFleetRole", "IamInstanceProfile", "ImageId", "SubnetIds", "SecurityGroupIds")


@dataclass(frozen=True)
class FleetFile:
    """The account's own values, each None for "auto"; `notes` is for the user."""

    iam_fleet_role: str | None = None
    iam_instance_profile: str | None = None
    image_id: str | None = None
    subnet_ids: tuple[str, ...] | None = None
    security_group_ids: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def read(path: Path) -> FleetFile:
    """Read a fleet file, ours or a classic one of Distributed-Something.

    From a classic file only the account's own values are taken; `notes` names the others as
    superseded. Raise UserError if it is missing, is not JSON, or has an unknown name.
    """
    content = json_file.read(path, "fleet", _EXAMPLE)
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: a fleet file is one JSON object.", f"Use {_EXAMPLE}: it works unedited."
        )
    content = without_comments(content)
    if "LaunchSpecifications" in content:
        return _classic(content)
    unknown = [name for name in content if name not in _OURS]
    if unknown:
        raise UserError(
            f"{path}: {unknown[0]} is not a value of a fleet file.",
            f"Use only: {', '.join(_OURS)}. The machines themselves are set in config.py.",
        )
    return FleetFile(
        iam_fleet_role=_text(path, content, "IamFleetRole"),
        iam_instance_profile=_text(path, content, "IamInstanceProfile"),
        image_id=_text(path, content, "ImageId"),
        subnet_ids=_texts(path, content, "SubnetIds"),
        security_group_ids=_texts(path, content, "SecurityGroupIds"),
    )


def _text(path: Path, content: Mapping[str, Any], name: str) -> str | None:
    value = content.get(name, AUTO)
    if not isinstance(value, str) or not value:
        raise UserError(f"{path}: {name} is not text.", f'Write "auto" or a value for {name}.')
    return None if value == AUTO else value


def _texts(path: Path, content: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = content.get(name, AUTO)
    if value == AUTO:
        return None
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not items or not all(isinstance(i, str) for i in items):
        raise UserError(
            f"{path}: {name} is not a list of text.", f'Write "auto" or a list for {name}.'
        )
    return tuple(items)


def _classic(content: Mapping[str, Any]) -> FleetFile:
    """Return the account's own values of a file that lists LaunchSpecifications."""
    specification = (content["LaunchSpecifications"] or [{}])[0]
    interface = (specification.get("NetworkInterfaces") or [{}])[0]
    profile = specification.get("IamInstanceProfile", {})
    subnet = interface.get("SubnetId") or specification.get("SubnetId")
    groups = interface.get("Groups")
    taken: dict[str, Any] = {
        "IamFleetRole": content.get("IamFleetRole"),
        "IamInstanceProfile": profile.get("Arn") or profile.get("Name"),
        "SubnetId": subnet,
        "Groups": groups,
    }
    placeholders = [name for name, value in taken.items() if _PLACEHOLDER.search(str(value))]
    for name in placeholders:
        taken[name] = None
    superseded = [
        *(name for name in content if name not in ("IamFleetRole", "LaunchSpecifications")),
        *(name for name in ("ImageId", "KeyName", "BlockDeviceMappings") if name in specification),
    ]
    notes = [f"superseded by config.py and by what AWS offers today: {', '.join(superseded)}"]
    if placeholders:
        notes.append(f"still placeholders, taken as auto: {', '.join(placeholders)}")
    return FleetFile(
        iam_fleet_role=taken["IamFleetRole"],
        iam_instance_profile=taken["IamInstanceProfile"],
        subnet_ids=tuple(str(taken["SubnetId"]).split(",")) if taken["SubnetId"] else None,
        security_group_ids=tuple(taken["Groups"]) if taken["Groups"] else None,
        notes=tuple(notes),
    )
