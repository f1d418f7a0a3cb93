"""Inputs put into the local bucket, outputs taken out of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control import screen
from control.aws.s3 import list_keys
from control.config import find_in_project
from control.errors import ExplainedError, UserError
from control.records.attempts import unpack_log
from control.records.job_objects import log_file, parse_attempt

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.config import Config

_TRANSFERS = 8
# Files of more bytes are sent in parts, several at a time.
_LARGE = 8 << 20
# The bytes of an object that are in memory at a time.
_PIECE = 1 << 20


@dataclass(frozen=True)
class Inputs:
    """A folder of this computer, and the prefix of its files in the bucket."""

    folder: Path
    prefix: str


def given_input(folder: Path) -> Inputs:
    """Return the folder of --input, which `cp -r` would copy under its own name, too."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such input folder.", "Check --input.")
    return Inputs(folder, folder.resolve().name)


def default_input(config: Config, shared: Mapping[str, Any]) -> Inputs | None:
    """Return the folder of the project that is the job file's input_location.

    Say so if there is none.
    """
    named = shared.get("input_location")
    if not isinstance(named, str) or not named:
        screen.say("The job file has no input_location, so the bucket is empty at first.")
        return None
    parts = [part for part in named.split("/") if part]
    folder = find_in_project(config, named)
    if not parts or named.startswith("/") or {".", ".."} & set(parts) or not folder.is_dir():
        screen.say(
            f"input_location of the job file, {named}, is not a folder of this project, so the "
            "bucket is empty at first; --input FOLDER names one."
        )
        return None
    return Inputs(folder, "/".join(parts))


def put_inputs(s3: S3Client, bucket: str, inputs: Inputs | None) -> frozenset[str]:
    """Put a folder into the bucket; return the keys."""
    if inputs is None:
        return frozenset()
    root = inputs.folder.resolve()
    files = [path for path in root.rglob("*") if path.is_file()]
    keys = {path: f"{inputs.prefix}/{path.relative_to(root).as_posix()}" for path in files}
    with screen.progress(f"Reading {inputs.folder}", len(files)) as advance:

        def put(path: Path) -> None:
            if path.stat().st_size > _LARGE:
                s3.upload_file(str(path), bucket, keys[path])
            else:
                s3.put_object(Bucket=bucket, Key=keys[path], Body=path.read_bytes())

        _in_parallel(put, files, advance)
    return frozenset(keys.values())


def prepare_output(output: Path) -> None:
    """Create the folder for the results, before anything runs.

    Raise UserError if it cannot be created or written to.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise UserError(
            f"{output} cannot take the results: {error.strerror}.",
            "Name a folder that you may write to: --output FOLDER.",
        ) from None


def take_outputs(s3: S3Client, bucket: str, output: Path, inputs: frozenset[str]) -> None:
    """Write what the jobs of all runs made, reports, and logs of failed jobs into a folder."""
    keys = [key for key in list_keys(s3, bucket, "") if key not in inputs]
    records = [key for key in keys if key.startswith("runs/") and "/records/" in key]
    failed = {_job_of(key) for key in records if key.endswith(".failed.json")}
    wanted = [key for key in keys if _is_wanted(key, failed)]
    root = output.resolve()
    with screen.progress("Taking outputs", len(wanted)) as advance:

        def take(key: str) -> None:
            path = (root / log_file(key)).resolve()
            if not path.is_relative_to(root):
                raise ExplainedError(
                    f"The output {key} would land outside {output}.",
                    "Remove '..' from output_prefix in worker/generic-worker.py.",
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            if parse_attempt(key):
                _take_log(s3, bucket, key, path)
            else:
                _fetch(s3, bucket, key, path)

        _in_parallel(take, wanted, advance)


def _take_log(s3: S3Client, bucket: str, key: str, path: Path) -> None:
    """Write the log inside an attempt into a file; a larger one is an object of its own."""
    log = unpack_log(json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    if log:
        path.write_bytes(log)


def _fetch(s3: S3Client, bucket: str, key: str, path: Path) -> None:
    """Write an object into a file, which has its name only when it is complete.

    boto3's download_file asks for each object's size first, and starts threads for each: three
    times the work for small ones.
    """
    # A name that is neither too long nor that of an output.
    partial = path.with_name(f".{os.getpid()}-{threading.get_ident()}.part")
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
        with contextlib.closing(answer["Body"]) as body, open(partial, "wb") as file:
            shutil.copyfileobj(body, file, _PIECE)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _job_of(key: str) -> str:
    """Return the id of the job that a record, an attempt or a log belongs to, with its run."""
    run, _, name = key.rsplit("/", 2)
    return f"{run}/{name.split('.')[0]}"


def _is_wanted(key: str, failed: set[str]) -> bool:
    if not key.startswith("runs/"):
        return True
    if "/logs/" in key or parse_attempt(key):
        return _job_of(key) in failed
    return key.endswith(("/report.json", "/report.html"))


def _in_parallel(
    work: Callable[[Any], None], items: Iterable[Any], advance: screen.Advance
) -> None:
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        for _ in pool.map(work, items):
            advance(1)
