"""The container's settings: environment variables (contract 1), typed."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

from plumbing.errors import JobFailed

# SQS keeps a message invisible for at most 12 h from its receive (ChangeMessageVisibility). One of
# them is for the upload and for giving the job back.
LONGEST_JOB = 11 * 3600
REQUIRED = ("SQS_QUEUE_URL", "AWS_BUCKET", "APP_NAME", "RUN_ID", "AWS_REGION")


class SettingsError(Exception):
    """A variable is missing or makes no sense; the text is one sentence."""


class Config(Dict[str, Any]):
    """The values of config.py by name, as config.py had them."""

    def __missing__(self, name: str) -> Any:
        reason = f"config.py has no {name}: add a line {name} = ..., and run setup."
        raise JobFailed(reason, retry=False, cause="missing_value")


@dataclass(frozen=True)
class Settings:
    """The settings that the worker itself uses; the meanings are those of config.py."""

    config: Config
    queue_url: str
    run_id: str
    app_name: str
    region: str
    bucket: str
    source_bucket: str
    destination_bucket: str
    dead_letter_queue: str
    upload_arguments: Mapping[str, Any]
    visibility: int
    job_retries: int
    job_timeout: float
    workers: int
    seconds_to_start: float
    log_bytes: int
    memory_mb: int | None
    needs_mount: bool
    check_if_done: bool
    expected_files: int
    min_file_bytes: int
    necessary_string: str
    work_folder: Path


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in `environ`. Raise SettingsError."""
    missing = [name for name in REQUIRED if not environ.get(name)]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} not set: `setup` passes the settings to the container; "
            "if you start it by hand, pass them with -e NAME=value."
        )
    bucket = environ["AWS_BUCKET"]
    app = environ["APP_NAME"]
    memory = _number(environ, "MEMORY", 0)
    try:
        upload_arguments = read_upload_flags(environ.get("UPLOAD_FLAGS", ""))
    except ValueError as error:
        raise SettingsError(f"UPLOAD_FLAGS: {error}") from None
    return Settings(
        config=typed(environ),
        queue_url=environ["SQS_QUEUE_URL"],
        run_id=environ["RUN_ID"],
        app_name=app,
        region=environ["AWS_REGION"],
        bucket=bucket,
        source_bucket=environ.get("SOURCE_BUCKET") or bucket,
        destination_bucket=environ.get("DESTINATION_BUCKET") or bucket,
        dead_letter_queue=environ.get("SQS_DEAD_LETTER_QUEUE") or f"{app}_DeadMessages",
        upload_arguments=upload_arguments,
        visibility=int(_number(environ, "SQS_MESSAGE_VISIBILITY", 300, low=3, high=43_200)),
        job_retries=int(_number(environ, "JOB_RETRIES", 3, low=1)),
        job_timeout=min(_number(environ, "JOB_TIMEOUT", LONGEST_JOB, low=1), LONGEST_JOB),
        workers=int(_number(environ, "DOCKER_CORES", 1, low=1, high=1024)),
        seconds_to_start=_number(environ, "SECONDS_TO_START", 0),
        log_bytes=int(_number(environ, "LOG_MB_PER_JOB", 5) * 1_000_000),
        memory_mb=int(memory) or None,
        needs_mount=not _truth(environ, "DOWNLOAD_FILES", True),
        check_if_done=_truth(environ, "CHECK_IF_DONE_BOOL", False),
        expected_files=int(_number(environ, "EXPECTED_NUMBER_FILES", 1)),
        min_file_bytes=int(_number(environ, "MIN_FILE_SIZE_BYTES", 1)),
        necessary_string=environ.get("NECESSARY_STRING", ""),
        work_folder=Path(environ.get("WORK_FOLDER") or os.curdir).resolve(),
    )


def typed(environ: Mapping[str, str]) -> Config:
    """Return all variables; those that CONFIG_TYPES names with their type in config.py."""
    values = Config(environ)
    try:
        types = json.loads(environ.get("CONFIG_TYPES") or "{}")
        for name, kind in types.items():
            if name in values:
                values[name] = _CONVERT[kind](environ[name])
    except (ValueError, KeyError, AttributeError) as error:
        raise SettingsError(f"CONFIG_TYPES does not fit the other variables: {error}.") from None
    return values


_TRUTH = {"True": True, "true": True, "False": False, "false": False}
_CONVERT: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: _TRUTH[text],
    "int": int,
    "float": float,
    "none": lambda text: None,
    "json": json.loads,
}


def _number(
    environ: Mapping[str, str],
    name: str,
    default: float,
    low: float = 0,
    high: float = float("inf"),
) -> float:
    text = environ.get(name, "")
    if text in ("", "None"):
        return default
    try:
        value = float(text)
    except ValueError:
        raise SettingsError(f"{name} = {text!r} is not a number.") from None
    if not low <= value <= high:
        raise SettingsError(f"{name} = {text} is out of range: {low} to {high}.")
    return value


def _truth(environ: Mapping[str, str], name: str, default: bool) -> bool:
    text = environ.get(name, "")
    if text == "":
        return default
    if text not in _TRUTH:
        raise SettingsError(f"{name} = {text!r} is neither True nor False.")
    return _TRUTH[text]


_UPLOAD_ARGUMENTS = {
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
# UPLOAD_FLAGS: the options of `aws s3 cp` that people use. These need no value.
_FLAG_DEFAULTS = {"--sse": "AES256", "--request-payer": "requester"}
# These change what the AWS CLI prints, or apply to copies between buckets.
_NO_EFFECT = {"--quiet", "--only-show-errors", "--no-progress", "--recursive"}
_NO_EFFECT_WITH_VALUE = {"--metadata-directive", "--copy-props"}


def read_upload_flags(text: str) -> dict[str, Any]:
    """Return the arguments of PutObject for these flags. Raise ValueError with a sentence."""
    words = [] if text in ("", "None", "False") else shlex.split(text)
    arguments: dict[str, Any] = {}
    while words:
        flag, equals, value = words.pop(0).partition("=")
        if equals:
            words.insert(0, value)
        if flag in _NO_EFFECT:
            continue
        if flag not in _UPLOAD_ARGUMENTS and flag not in _NO_EFFECT_WITH_VALUE:
            raise ValueError(f"{flag} is unknown. Known flags: {', '.join(_UPLOAD_ARGUMENTS)}.")
        value = _flag_value(flag, words)
        if flag in _UPLOAD_ARGUMENTS:
            arguments[_UPLOAD_ARGUMENTS[flag]] = _metadata(value) if flag == "--metadata" else value
    return arguments


def _flag_value(flag: str, words: list[str]) -> str:
    if words and not words[0].startswith("--"):
        return words.pop(0)
    if flag in _FLAG_DEFAULTS:
        return _FLAG_DEFAULTS[flag]
    raise ValueError(f"{flag} needs a value.")


def _metadata(text: str) -> dict[str, str]:
    if text.startswith("{"):
        values = json.loads(text)
        return {str(key): str(value) for key, value in values.items()}
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {key: value for key, _, value in pairs}
