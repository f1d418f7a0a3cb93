"""The environment, config and pace of commands that use the AWS on this computer."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from control.aws.session import LOCAL_MARK, leads_here
from control.config import Config, load_config
from control.monitoring.pace import Pace

# It starts machines within a second, and its counts are exact.
PACE = Pace(poll=1.0, settle=2.0, spare=1.0, register=60, refuse=20, listing=0.3, patience=20)
_WORKERS = "EMBEDDED_AWS_WORKERS"
_IMAGE = "EMBEDDED_AWS_IMAGE"


def adapted(config: Config, workers: int, image: str = "") -> Config:
    """Return the config with as many workers in all as this computer is to run.

    Two or more run on at least two machines, as on AWS. Each container of an `image` has as many as
    on AWS, since they share its MEMORY.
    """
    machines = min(config.CLUSTER_MACHINES, workers)
    in_each = math.ceil(workers / machines)
    if image:
        in_each = min(config.DOCKER_CORES, workers)
        machines = min(config.CLUSTER_MACHINES, math.ceil(workers / in_each))
    return dataclasses.replace(
        config,
        AWS_PROFILE=None,
        DOCKERHUB_TAG=image or config.DOCKERHUB_TAG,
        CLUSTER_MACHINES=machines,
        TASKS_PER_MACHINE=1,
        DOCKER_CORES=in_each,
        SECONDS_TO_START=0,
        AUTO_MONITOR=False,
        NOTIFY_EMAIL="",
        DOWNLOAD_FILES=True,
        SOURCE_BUCKET=config.AWS_BUCKET,
        WORKSPACE_BUCKET=config.AWS_BUCKET,
        DESTINATION_BUCKET=config.AWS_BUCKET,
    )


def load_project(where: Path) -> Config:
    """Return the config for a verb; in a shell of `local --serve` adapted to that AWS."""
    if not leads_here():
        return load_config(where)
    workers, image = int(os.environ.get(_WORKERS, "1")), os.environ.get(_IMAGE, "")
    return adapted(load_config(where, embedded=True), workers, image)


def take(base: Mapping[str, str], ours: Mapping[str, str], workers: int, image: str = "") -> None:
    """Make `ours` over `base` the whole environment of this process.

    None of the user's own AWS settings may lead a client elsewhere.
    """
    wanted = {**base, **ours, LOCAL_MARK: "1", _WORKERS: str(workers), _IMAGE: image}
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def lines() -> list[str]:
    """Return the lines by which the commands of a shell go to the AWS that this process uses."""
    # No request may go through a proxy.
    ours = ("AWS_", LOCAL_MARK, "NO_PROXY", "no_proxy")
    names = sorted(name for name in os.environ if name.startswith(ours))
    exports = [f"export {name}='{os.environ[name]}'" for name in names]
    return ["unset AWS_PROFILE AWS_SESSION_TOKEN", *exports]


@contextmanager
def file(folder: Path, lines: Sequence[str]) -> Iterator[str]:
    """Write a file with these lines for a shell to read; remove it after the block."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "local-aws.sh"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    try:
        yield os.path.relpath(path)
    finally:
        path.unlink(missing_ok=True)
