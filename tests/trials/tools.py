"""Programs and packages that the trials bring to this computer: all of it in examples/.tools."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from control.errors import ExplainedError, UserError
from tests.trials.trial import EXAMPLES

TOOLS = EXAMPLES / ".tools"
SCRIPTS = Path(__file__).parent / "scripts"
# Its wheel carries nine real images, of Drosophila cells, and CellProfiler's own pipeline for them.
CELLPROFILER = "cellprofiler==4.2.8.1"
_IMAGES = "cellprofiler/data/examples/ExampleFly/images/"


def is_made(name: str, recipe: str) -> bool:
    """Return whether .tools/NAME is complete and made by this recipe (its text)."""
    mark = TOOLS / name / "recipe"
    return mark.is_file() and mark.read_text(encoding="utf-8") == recipe


def make(name: str, recipe: str, build: Callable[[Path], None]) -> Path:
    """Make .tools/NAME by `build(folder)`, unless it is made already; returns it."""
    folder = TOOLS / name
    if not is_made(name, recipe):
        print(f"Installing examples/.tools/{name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        build(folder)
        (folder / "recipe").write_text(recipe, encoding="utf-8")
    return folder


def missing(name: str, recipe: str) -> str:
    """Return why .tools/NAME cannot be used, "" if it can."""
    return "" if is_made(name, recipe) else f"examples/.tools/{name} is not there"


def virtual_environment(requirements: Sequence[str]) -> Callable[[Path], None]:
    """Return a function that builds an environment of these packages, not the project's own."""

    def build(folder: Path) -> None:
        command([sys.executable, "-m", "venv", folder])
        command([folder / "bin/python", *_PIP, "install", *requirements])

    return build


_PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def wheel(requirement: str) -> Path:
    """Return the wheel of a pinned package (`name==version`), downloaded once, not installed."""
    name, _, version = requirement.partition("==")

    def build(folder: Path) -> None:
        command([sys.executable, *_PIP, "download", "--no-deps", "--dest", folder, requirement])

    (found,) = make(f"wheels/{name}", version, build).glob("*.whl")
    return found


def images() -> Path:
    """Return a folder with the nine images 01_POS002_D.TIF ... 01_POS218_R.TIF (ExampleFly)."""

    def build(folder: Path) -> None:
        with zipfile.ZipFile(wheel(CELLPROFILER)) as package:
            for name in package.namelist():
                if name.startswith(_IMAGES) and name.endswith(".TIF"):
                    (folder / Path(name).name).write_bytes(package.read(name))

    return make("images", CELLPROFILER, build)


def lacking(programs: Mapping[str, str]) -> str:
    """Return which of these programs (name: Debian package) are not installed, "" if all are."""
    absent = [name for name in programs if not shutil.which(name)]
    return f"not installed: {', '.join(absent)}" if absent else ""


def require(programs: Mapping[str, str]) -> None:
    """Raise UserError unless all these programs (name: Debian package) are installed."""
    if lack := lacking(programs):
        packages = sorted({programs[name] for name in programs if not shutil.which(name)})
        raise UserError(
            f"This example needs programs that are {lack}.",
            f"On Debian and Ubuntu: apt-get install {' '.join(packages)}",
        )


def path_with(*folders: Path) -> dict[str, str]:
    """Return an environment whose PATH begins with these folders."""
    return {"PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]])}


def command(words: Iterable[object]) -> str:
    """Run a program of the installation; what it printed. Raises ExplainedError if it fails."""
    argv = [str(word) for word in words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExplainedError(
            f"{Path(argv[0]).name} failed: {(done.stderr or done.stdout).strip()[-500:]}",
            f"Run it by itself to see more: {' '.join(argv)}",
        )
    return done.stdout
