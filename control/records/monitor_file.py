"""The monitor file that startCluster writes and `monitor FILE` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from control.command import typed
from control.errors import ExplainedError, UserError
from control.records import store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.config import Config
    from control.model import Run


def path_of(config: Config) -> Path:
    """Return the path of the file that startCluster writes and `monitor FILE` reads."""
    return config.project / "files" / f"{config.APP_NAME}SpotFleetRequestId.json"


def write(config: Config, run: Run) -> Path:
    """Write the monitor file with the names of Distributed-Something, and return its path."""
    path = path_of(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "MONITOR_APP_NAME": run.app_name,
        "MONITOR_RUN_ID": run.run_id,
        "MONITOR_BUCKET_NAME": run.bucket,
        "MONITOR_FLEET_ID": run.fleets[-1].fleet_id,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def read(path: str | Path) -> tuple[str, str, str]:
    """Return bucket, app and RUN_ID of the run in a monitor file, whatever config.py is now.

    Raise UserError if there is no such file, or it is not a monitor file.
    """
    try:
        named = json.loads(Path(path).read_text(encoding="utf-8"))
        return named["MONITOR_BUCKET_NAME"], named["MONITOR_APP_NAME"], named["MONITOR_RUN_ID"]
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such file.",
            "Correct its name; or leave it out: monitor then watches the run of APP_NAME.",
        ) from None
    except (ValueError, KeyError, TypeError, IsADirectoryError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"{path} is not a monitor file ({why}).",
            "Leave the name out: monitor then watches the run of APP_NAME.",
        ) from None


def newest(s3: S3Client, config: Config) -> Run:
    """Return the newest run of APP_NAME.

    Raise ExplainedError if none was set up, or nobody has started machines for it.
    """
    found = store.latest(s3, config.AWS_BUCKET, config.APP_NAME)
    if not found.ended and not found.fleets:
        raise _not_started(found)
    return found


def run(s3: S3Client, named: tuple[str, str, str]) -> Run:
    """Return the run that `read` has found in a monitor file.

    Raise ExplainedError if a newer run has been set up, whose machines nobody has started.
    """
    bucket, app_name, run_id = named
    last = store.latest(s3, bucket, app_name)
    if last.run_id != run_id and not last.ended:
        raise _not_started(last)
    return store.load(s3, bucket, app_name, run_id)


def _not_started(run: Run) -> ExplainedError:
    return ExplainedError(
        f"No machines have been started for run {run.run_id} of {run.app_name}.",
        f"Start them: {typed('startCluster')}",
    )
