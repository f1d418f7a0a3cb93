"""docker or podman, whichever works on this computer."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

NAMES = ("docker", "podman")
# The longest time for one command on a busy computer; a hanging engine never answers.
ANSWER_SECONDS = 120.0


class NoEngine(Exception):
    """No engine works: `what` is the problem, and `fix` the one thing to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what} {fix}")
        self.what = what
        self.fix = fix


@dataclass(frozen=True)
class ContainerEngine:
    """A container engine by the name of its program; its settings are the user's own."""

    program: str

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of the engine and return its exit code and output.

        `environment` is added to this process's own. A command fails after ANSWER_SECONDS.
        """
        command = [self.program, *arguments]
        try:
            return subprocess.run(
                command,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ANSWER_SECONDS,
                # Ctrl-C at the terminal must not interrupt the cleanup after it.
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            what = f"{self.program} does not answer"
        except OSError as error:
            what = f"{self.program}: {error.strerror}"
        return subprocess.CompletedProcess(command, 1, "", what)

    def has_image(self, image: str) -> bool:
        """Return whether an image of this name is on this computer."""
        return self.run("image", "inspect", image).returncode == 0

    def build(self, folder: Path, image: str, hear: Callable[[str], None]) -> int:
        """Build the Dockerfile of a folder under this name; return the engine's exit code.

        `hear` gets each line as it comes.
        """
        with subprocess.Popen(
            [self.program, "build", "--tag", image, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip():
                    hear(line.strip())
        return process.returncode


def find_engine(name: str = "") -> ContainerEngine:
    """Return the engine of this name, else the first of docker and podman that works.

    Raise NoEngine.
    """
    names = (name,) if name else NAMES
    installed = [ContainerEngine(each) for each in names if shutil.which(each)]
    problems = []
    for engine in installed:
        # This needs the daemon, where there is one, and the right to use it.
        asked = engine.run("ps", "-q")
        if asked.returncode == 0:
            return engine
        problems.append(f"{engine.program} does not work here: {last_line(asked.stderr)}")
    if not installed:
        raise NoEngine(
            f"There is no {' or '.join(names)} on this computer to run containers with.",
            "Install one (Debian and Ubuntu: apt-get install podman; elsewhere Docker Desktop or "
            "Podman Desktop).",
        )
    raise NoEngine(
        "; ".join(problems).rstrip(".") + ".",
        f"Start it and give yourself access, until `{installed[0].program} ps` shows no error.",
    )


def last_line(text: str) -> str:
    """Return the last line, in which an engine says why it failed."""
    return (text.strip().splitlines() or ["no message"])[-1].strip()
