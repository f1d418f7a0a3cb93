"""The monitor file: which run to watch; startCluster writes it, monitor reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from control.errors import ExplainedError, UserError
from control.services import records

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.services.records import Run
    from control.settings import Config


def path_of(config: Config) -> Path:
    """Where startCluster writes what monitor reads when it is given no file."""
    return config.project / "files" / f"{config.APP_NAME}SpotFleetRequestId.json"


def write(config: Config, run: Run) -> Path:
    """Write the monitor file, under the names of Distributed-Something; returns where."""
    path = path_of(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "MONITOR_APP_NAME": run.app_name,
        "MONITOR_RUN_ID": run.run_id,
        "MONITOR_BUCKET_NAME": run.bucket,
        "MONITOR_FLEET_ID": run.fleets[-1]["fleet_id"],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def read(path: str | Path) -> tuple[str, str, str]:
    """Bucket, app and RUN_ID of the run that a monitor file names, whatever config.py is now.

    Raises UserError if there is no such file, or it is something else.
    """
    try:
        named = json.loads(Path(path).read_text(encoding="utf-8"))
        return named["MONITOR_BUCKET_NAME"], named["MONITOR_APP_NAME"], named["MONITOR_RUN_ID"]
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such file: no machines have been started yet.",
            "startCluster writes it: python run.py startCluster files/exampleFleet.json",
        ) from None
    except (ValueError, KeyError, TypeError, IsADirectoryError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"{path} is not a monitor file ({why}).",
            "Leave the name out: monitor then takes the one that startCluster wrote.",
        ) from None


def run(s3: S3Client, named: tuple[str, str, str]) -> Run:
    """The run that a monitor file names, as `read` gives it.

    Raises ExplainedError if a newer run has been set up, whose machines nobody has started.
    """
    bucket, app_name, run_id = named
    newest = records.current(s3, bucket, app_name)
    if newest is None or newest.run_id != run_id and not newest.ended:
        what = f"run {newest.run_id}" if newest else "a run"
        raise ExplainedError(
            f"No machines have been started for {what} of {app_name}.",
            "Start them: python run.py startCluster files/exampleFleet.json",
        )
    return records.load(s3, bucket, app_name, run_id)
