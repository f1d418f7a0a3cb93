"""The message of a job (contract 2): its body, its attributes, and whether it is refused."""

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
_RUN_ID = re.compile("[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True)
class Message:
    """One receive of one message.

    `fault` is why the body is no job, `refusal` why the message belongs to no job of this app.
    """

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
    refusal: str


def parse(raw: Mapping[str, Any], app: str, run_id: str) -> Message:
    """Read a message of ReceiveMessage. Never raise: the fields say what is wrong with it.

    `app` and `run_id` are those of the container, for a message without these attributes.
    """
    body = raw["Body"]
    attributes = raw.get("MessageAttributes", {})
    values: dict[str, Any] = {}
    fault = ""
    try:
        values = without_comments(json.loads(body))
        job_id = id_of(canonical_body(values).encode())
        name = job_name(values["group"], job_id)
    except (ValueError, RecursionError, TypeError) as error:
        values, fault = {}, f"the message is not a job: {error}"
        job_id = name = id_of(body.encode("utf-8", "replace"))
    given_name = _attribute(attributes, "job_name")
    given_run = _attribute(attributes, "run_id") or run_id
    submission = _attribute(attributes, "submission")
    return Message(
        handle=raw["ReceiptHandle"],
        body=body,
        attributes=attributes,
        receive=int(raw.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        job_id=job_id,
        job_name=safe_name(given_name, job_id) if given_name else name,
        run_id=given_run,
        submission=int(submission) if re.fullmatch("[1-9][0-9]{0,8}", submission) else 1,
        values=values,
        fault=fault,
        refusal=_refusal(attributes, app, run_id, job_id),
    )


def _refusal(attributes: Mapping[str, Any], app: str, run_id: str, job_id: str) -> str:
    """Return why the message is not a job of this app; "" if it is."""
    given_app = _attribute(attributes, "app") or app
    given_run = _attribute(attributes, "run_id") or run_id
    given_id = _attribute(attributes, "job_id") or job_id
    if given_app != app:
        return f"the message is from another app: {given_app}"
    if given_run != run_id and not _RUN_ID.fullmatch(given_run):
        return f"{given_run!r} is not a RUN_ID"
    if given_run > run_id:
        return f"the message is from a later run than this container: {given_run}"
    if given_id != job_id:
        return f"its job_id {given_id!r} does not fit its body, whose id is {job_id}"
    return ""


def without_comments(values: Any) -> dict[str, Any]:
    """Return the body without keys that contain `_comment`. Raise TypeError for anything else."""
    if not isinstance(values, dict):
        raise TypeError(f"it is a JSON {type(values).__name__} instead of an object")
    kept = {key: value for key, value in values.items() if "_comment" not in key}
    group = kept.setdefault("group", {})
    if not isinstance(group, dict):
        raise TypeError(f"its group is a JSON {type(group).__name__} instead of an object")
    kept["group"] = {key: value for key, value in group.items() if "_comment" not in key}
    return kept


def canonical_body(values: Any) -> str:
    """Return the one way to write these values as JSON, from which a job's id follows."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def job_name(group: Mapping[str, Any], job_id: str) -> str:
    """Return the group's `name`, else its values joined by '-', safe as a part of a path."""
    name = group.get("name")
    words = [name] if name not in (None, "") else list(group.values())
    return safe_name("-".join(_as_text(word) for word in words), job_id)


def safe_name(text: str, job_id: str) -> str:
    """Return `text` without what does not belong into a path; a safe name stays as it is."""
    safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip(".")
    if len(safe) > LONGEST_NAME:
        safe = f"{safe[: LONGEST_NAME - ID_DIGITS - 1]}-{job_id}"
    return safe or job_id


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return canonical_body(value) if isinstance(value, (dict, list)) else str(value)


def id_of(body: bytes) -> str:
    """Return the id of the job with this canonical body."""
    return hashlib.sha256(body).hexdigest()[:ID_DIGITS]


def _attribute(attributes: Mapping[str, Any], name: str) -> str:
    value: str | None = attributes.get(name, {}).get("StringValue")
    return value or ""
