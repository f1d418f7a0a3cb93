"""UPLOAD_FLAGS: the options of `aws s3 cp` that people use, as arguments of PutObject."""

from __future__ import annotations

import json
import shlex
from typing import Any

ARGUMENTS = {
    "--acl": "ACL",
    "--storage-class": "StorageClass",
    "--sse": "ServerSideEncryption",
    "--sse-kms-key-id": "SSEKMSKeyId",
    "--content-type": "ContentType",
    "--content-encoding": "ContentEncoding",
    "--content-disposition": "ContentDisposition",
    "--content-language": "ContentLanguage",
    "--cache-control": "CacheControl",
    "--expires": "Expires",
    "--metadata": "Metadata",
    "--request-payer": "RequestPayer",
    "--tagging": "Tagging",
}
# `aws s3 cp` lets the value of these out.
DEFAULTS = {"--sse": "AES256", "--request-payer": "requester"}
# They change what the AWS CLI prints, or copies between buckets, which an upload is not.
WITHOUT_EFFECT = {"--quiet", "--only-show-errors", "--no-progress", "--recursive"}
WITHOUT_EFFECT_WITH_VALUE = {"--metadata-directive", "--copy-props"}


def parse(text: str) -> dict[str, Any]:
    """The arguments of PutObject that the flags mean. Raises ValueError with a sentence."""
    words = [] if text in ("", "None", "False") else shlex.split(text)
    arguments: dict[str, Any] = {}
    while words:
        flag, equals, value = words.pop(0).partition("=")
        if equals:
            words.insert(0, value)
        if flag in WITHOUT_EFFECT:
            continue
        if flag not in ARGUMENTS and flag not in WITHOUT_EFFECT_WITH_VALUE:
            raise ValueError(f"{flag} is not known here. Known are {', '.join(ARGUMENTS)}.")
        value = _value(flag, words)
        if flag in ARGUMENTS:
            arguments[ARGUMENTS[flag]] = _metadata(value) if flag == "--metadata" else value
    return arguments


def _value(flag: str, words: list[str]) -> str:
    if words and not words[0].startswith("--"):
        return words.pop(0)
    if flag in DEFAULTS:
        return DEFAULTS[flag]
    raise ValueError(f"{flag} needs a value.")


def _metadata(text: str) -> dict[str, str]:
    if text.startswith("{"):
        values = json.loads(text)
        return {str(key): str(value) for key, value in values.items()}
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {key: value for key, _, value in pairs}
