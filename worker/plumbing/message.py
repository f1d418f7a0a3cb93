"""Contract 2: what a job is told by its message."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Mapping

LONGEST_NAME = 150
ID_DIGITS = 16
_UNSAFE = re.compile(r"[^\w.=+@,-]+")
_JOB_ID = re.compile(r"[0-9a-f]{16,64}")
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Message:
    """One receive of one message. `fault` says why the body is no job, and is empty if it is."""

    handle: str
    body: str
    attributes: Mapping[str, Any]
    receive: int
    job_id: str
    job_name: str
    run_id: str
    submission: int
    values: Mapping[str, Any]
    fault: str


def parse(raw: Mapping[str, Any], run_id: str) -> Message:
    """Read a message of ReceiveMessage. Never raises: what is no job gets a `fault`.

    Attributes are only taken where they are safe to be part of a key in S3; else the id and
    name follow from the body. `run_id` is that of the container.
    """
    body = raw["Body"]
    attributes = raw.get("MessageAttributes", {})
    values: dict[str, Any] = {}
    fault = ""
    try:
        values = without_comments(json.loads(body))
        job_id = _id_of(attributes, canonical_body(values).encode())
        name = job_name(values["group"], job_id)
    except (ValueError, RecursionError, TypeError) as error:
        values, fault = {}, f"the message is not a job: {error}"
        job_id = name = _id_of(attributes, body.encode("utf-8", "replace"))
    given_name = _attribute(attributes, "job_name")
    given_run = _attribute(attributes, "run_id")
    submission = _attribute(attributes, "submission")
    return Message(
        handle=raw["ReceiptHandle"],
        body=body,
        attributes=attributes,
        receive=int(raw.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        job_id=job_id,
        job_name=safe_name(given_name, job_id) if given_name else name,
        run_id=given_run if _RUN_ID.fullmatch(given_run) else run_id,
        submission=int(submission) if re.fullmatch("[1-9][0-9]{0,8}", submission) else 1,
        values=values,
        fault=fault,
    )


def without_comments(values: Any) -> dict[str, Any]:
    """The body without the keys that contain `_comment`. Raises TypeError if it is no object."""
    if not isinstance(values, dict):
        raise TypeError(f"it holds a JSON {type(values).__name__} instead of an object")
    kept = {key: value for key, value in values.items() if "_comment" not in key}
    group = kept.setdefault("group", {})
    if not isinstance(group, dict):
        raise TypeError(f"its group is a JSON {type(group).__name__} instead of an object")
    kept["group"] = {key: value for key, value in group.items() if "_comment" not in key}
    return kept


def canonical_body(values: Any) -> str:
    """The one way to write these values as JSON, from which a job's id follows."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def job_name(group: Mapping[str, Any], job_id: str) -> str:
    """The group's `name`, else its values joined by '-', safe as a part of a path."""
    name = group.get("name")
    words = [name] if name not in (None, "") else list(group.values())
    return safe_name("-".join(_as_text(word) for word in words), job_id)


def safe_name(text: str, job_id: str) -> str:
    """`text` without what does not belong into a path; a name stays as it is."""
    safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip(".")
    if len(safe) > LONGEST_NAME:
        safe = f"{safe[: LONGEST_NAME - ID_DIGITS - 1]}-{job_id}"
    return safe or job_id


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return canonical_body(value) if isinstance(value, (dict, list)) else str(value)


def _id_of(attributes: Mapping[str, Any], body: bytes) -> str:
    given = _attribute(attributes, "job_id")
    return given if _JOB_ID.fullmatch(given) else hashlib.sha256(body).hexdigest()[:ID_DIGITS]


def _attribute(attributes: Mapping[str, Any], name: str) -> str:
    value: str | None = attributes.get(name, {}).get("StringValue")
    return value or ""
