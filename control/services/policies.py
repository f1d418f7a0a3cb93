"""The IAM policies of files/iam, with the account, region, buckets and names filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control.errors import UserError
from control.services import roles, schedules

if TYPE_CHECKING:
    from control.settings import Config

# Not ${aws:username} and the like: those are IAM's own.
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Z_]+)\}")

Names = Mapping[str, str | tuple[str, ...]]


def partition(region: str) -> str:
    """The first part of every ARN in this region."""
    special = {"cn": "aws-cn", "us-gov": "aws-us-gov"}
    return next((name for start, name in special.items() if region.startswith(f"{start}-")), "aws")


def names(config: Config, account: str) -> Names:
    """What the placeholders of files/iam stand for in this project."""
    aws = partition(config.AWS_REGION)

    def ours(role: str) -> str:
        return f"arn:{aws}:iam::{account}:role/{role}"

    buckets = (
        config.AWS_BUCKET,
        config.SOURCE_BUCKET,
        config.WORKSPACE_BUCKET,
        config.DESTINATION_BUCKET,
    )
    return {
        "PARTITION": aws,
        "REGION": config.AWS_REGION,
        "ACCOUNT": account,
        "APP_NAME": config.APP_NAME,
        "SERVICE": f"{config.APP_NAME}Service",
        "SCHEDULES": schedules.name(config.APP_NAME, "*"),
        "AWS_BUCKET": config.AWS_BUCKET,
        "DESTINATION_BUCKET": config.DESTINATION_BUCKET,
        "BUCKETS": tuple(dict.fromkeys(buckets)),
        "SQS_QUEUE_NAME": config.SQS_QUEUE_NAME,
        "SQS_DEAD_LETTER_QUEUE": config.SQS_DEAD_LETTER_QUEUE,
        "ECS_CLUSTER": config.ECS_CLUSTER,
        "LOG_GROUP_NAME": config.LOG_GROUP_NAME,
        "TASK_ROLE_ARN": config.TASK_ROLE_ARN or ours(roles.TASK_ROLE),
        "EXECUTION_ROLE_ARN": config.EXECUTION_ROLE_ARN or ours(roles.EXECUTION_ROLE),
    }


def read(folder: Path, known: Names) -> list[dict[str, Any]]:
    """The roles that the files of a folder describe, filled in.

    A file holds RoleName, Description, AssumeRolePolicyDocument; PolicyDocument (what the role may
    do for every project of the account) and ProjectPolicyDocument (for this one), or one of them;
    and "InstanceProfile": true for machines. Raises UserError for what is not so.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            role = json.loads(path.read_text(encoding="utf-8"))
            found.append(_fill(role, known))
            _ = role["RoleName"], role["Description"], role["AssumeRolePolicyDocument"]
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not a JSON file ({error}).", "Correct it there.") from None
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{path}: {error} is missing, or is no placeholder that setupAWS knows.",
                f"Placeholders are {', '.join('{' + name + '}' for name in known)}.",
            ) from None
    return found


def _fill(value: Any, known: Names) -> Any:
    if isinstance(value, dict):
        return {key: _fill(part, known) for key, part in value.items()}
    if isinstance(value, list):
        filled = [_fill(part, known) for part in value]
        return [one for part in filled for one in (part if isinstance(part, list) else [part])]
    return _fill_text(value, known) if isinstance(value, str) else value


def _fill_text(text: str, known: Names) -> str | list[str]:
    """The text with its names; several texts if a name stands for several."""
    texts = [text]
    for name in dict.fromkeys(_PLACEHOLDER.findall(text)):
        found = known[name]
        meant = (found,) if isinstance(found, str) else found
        texts = [text.replace("{" + name + "}", one) for text in texts for one in meant]
    return texts[0] if len(texts) == 1 else texts
