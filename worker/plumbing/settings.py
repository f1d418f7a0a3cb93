"""Contract 1: what the container is told by environment variables, typed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

from plumbing import upload_flags
from plumbing.errors import JobFailed

# SQS holds a message for 12 h from its receive at the most, which no extension changes
# (ChangeMessageVisibility); an hour of them is kept for the upload and for giving the job back.
LONGEST_JOB = 11 * 3600
REQUIRED = ("SQS_QUEUE_URL", "AWS_BUCKET", "APP_NAME", "RUN_ID", "AWS_REGION")


class SettingsError(Exception):
    """The environment lacks something or holds nonsense; the text is one sentence."""


class Config(Dict[str, Any]):
    """config.py's values by name, as config.py had them."""

    def __missing__(self, name: str) -> Any:
        raise JobFailed(
            f"config.py has no {name}: add a line {name} = ..., and run setup.", retry=False
        )


@dataclass(frozen=True)
class Settings:
    """What the worker itself goes by; the meanings are those of config.py."""

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


def read(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`. Raises SettingsError."""
    missing = [name for name in REQUIRED if not environ.get(name)]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} not set: the container gets its settings from `setup`; "
            "started by hand it needs them by -e NAME=value."
        )
    bucket = environ["AWS_BUCKET"]
    app = environ["APP_NAME"]
    memory = _number(environ, "MEMORY", 0)
    try:
        upload_arguments = upload_flags.parse(environ.get("UPLOAD_FLAGS", ""))
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
    """All variables, those that CONFIG_TYPES names as what they were in config.py."""
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
