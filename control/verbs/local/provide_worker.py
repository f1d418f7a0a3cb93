"""The worker of a local run: its folder or its image."""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from control import screen
from control.config import CHECKOUT, find_in_project
from control.errors import ExplainedError, UserError

if TYPE_CHECKING:
    from control.config import Config
    from embedded_aws import ContainerEngine

# The last lines of a failed build; those above are mostly about steps that worked.
_LINES_SHOWN = 12


@dataclass(frozen=True)
class Containers:
    """A wish for containers: by this engine, else any; of this image, else a built one."""

    engine: str = ""
    image: str = ""


@dataclass(frozen=True)
class Worker:
    """A worker that runs as a task: a folder as processes or, by an engine, an image."""

    folder: Path
    engine: str = ""
    image: str = ""


def assemble(config: Config, folder: Path) -> Path:
    """Copy the worker as an image has it: the template's files, replaced by the project's."""
    no_leftovers = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "worker", folder, ignore=no_leftovers)
    own = config.project / "worker"
    if own.is_dir():
        shutil.copytree(own, folder, ignore=no_leftovers, dirs_exist_ok=True)
    source = find_in_project(config, "worker/generic-worker.py")
    try:
        ast.parse(source.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(
            f"{source}, line {error.lineno}: {error.msg}.",
            "Often a colon, bracket or quote is missing on that line or the one before.",
        ) from None
    return folder


def refresh(config: Config, folder: Path) -> bool:
    """Copy files that were edited since `assemble`; return whether there were any.

    Each file is replaced at once: a container that starts meanwhile reads the old or the new one.
    An editor's own files are left out. Files that come and go meanwhile are checked again the next
    time.
    """
    sources: dict[Path, Path] = {}
    for root in (CHECKOUT / "worker", config.project / "worker"):
        for path in root.rglob("*"):
            hidden = path.name.startswith(".") or path.name.endswith("~")
            if not hidden and "__pycache__" not in path.parts and path.is_file():
                sources[path.relative_to(root)] = path
    return any([_taken_over(path, folder / name) for name, path in sources.items()])


def _taken_over(source: Path, copy: Path) -> bool:
    """Copy a file if it differs from its copy; return whether it did."""
    half_done = copy.with_name(f"{copy.name}.new")
    try:
        now, then = source.stat(), copy.stat() if copy.exists() else None
        if then and (now.st_mtime_ns, now.st_size) == (then.st_mtime_ns, then.st_size):
            return False
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, half_done)
    except FileNotFoundError:
        return False
    half_done.replace(copy)
    return True


def provide_image(engine: ContainerEngine, config: Config, folder: Path, wish: Containers) -> str:
    """Return the name of the image to run: the one named, or one that is built from `folder`.

    Raise UserError if there is no such image, ExplainedError if it cannot be built.
    """
    if not wish.image:
        return _build(engine, config, folder)
    if not engine.has_image(wish.image):
        raise UserError(
            f"There is no image {wish.image} on this computer.",
            f"Fetch it: {engine.program} pull {wish.image}, or leave --image out: it is built.",
        )
    return wish.image


def _build(engine: ContainerEngine, config: Config, folder: Path) -> str:
    image = _name(config)
    dockerfile = find_in_project(config, "worker/Dockerfile")
    screen.say(f"Building the image of {dockerfile}; the first time takes minutes.")
    last: deque[str] = deque(maxlen=_LINES_SHOWN)
    with screen.live_status() as show:

        def hear(line: str) -> None:
            last.append(line)
            show(line)

        code = engine.build(folder, image, hear)
    if code == 0:
        return image
    for line in last:
        screen.say(line)
    raise ExplainedError(
        f"The image of {dockerfile} could not be built: {last[-1] if last else 'no message'}",
        f"Fix {dockerfile}: the last lines above show which step failed. Then type the same "
        "command again.",
    )


def _name(config: Config) -> str:
    """Return a name for this project only, which no image that is pushed has."""
    app = re.sub("[^a-z0-9]+", "-", config.APP_NAME.lower()).strip("-")
    where = hashlib.sha256(str(config.project.resolve()).encode()).hexdigest()[:8]
    return f"distributed-something-local:{app}-{where}"
