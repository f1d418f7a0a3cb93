"""fiji: the real ImageJ 1.51, out of the jar that CellProfiler brings along, and ExampleFly."""

from __future__ import annotations

import csv
import shutil
import zipfile
from pathlib import Path

from tests.trials import tools
from tests.trials.trial import Trial, WrongResult

IMAGEJ = "prokaryote==2.4.4"
LAUNCHER, SOURCE = tools.SCRIPTS / "ImageJ-linux64", tools.SCRIPTS / "RunMacro.java"
PROGRAMS = {"java": "openjdk-17-jdk-headless", "javac": "openjdk-17-jdk-headless"}
# What this macro finds in the DNA channel, counted by the same ImageJ outside of this project.
NUCLEI = {"POS002": 295, "POS076": 890, "POS218": 729}
TOLERANCE = 0.01


def missing() -> str:
    """Return why ImageJ cannot be used here, "" if it can."""
    return tools.lacking(PROGRAMS) or tools.missing("fiji", _recipe())


def install() -> None:
    """Install ImageJ with a launcher that stands in for Fiji's, and download the images."""
    tools.require(PROGRAMS)
    tools.make("fiji", _recipe(), _build)
    tools.images()


def _recipe() -> str:
    return "\n".join([IMAGEJ, LAUNCHER.read_text(), SOURCE.read_text()])


def _build(folder: Path) -> None:
    with zipfile.ZipFile(tools.wheel(IMAGEJ)) as package:
        (jar,) = (name for name in package.namelist() if name.endswith(".jar"))
        (folder / "imagej.jar").write_bytes(package.read(jar))
    shutil.copy(LAUNCHER, folder)
    tools.command(["javac", "-proc:none", "-cp", folder / "imagej.jar", "-d", folder, SOURCE])


def get_input(folder: Path) -> None:
    """Copy the DNA channel of three fields of view next to the macro."""
    for image in tools.images().glob("*_D.TIF"):
        shutil.copy(image, folder)


def check(output: Path) -> list[str]:
    """Check that each field has its known number of nuclei, within one percent, and its picture."""
    lines = []
    for job, known in NUCLEI.items():
        folder = output / "nuclei" / job
        with open(folder / f"01_{job}_D_nuclei.csv", newline="") as file:
            found = len(list(csv.DictReader(file)))
        if abs(found - known) > TOLERANCE * known:
            raise WrongResult(f"{job} has {found} nuclei, not {known}.")
        if sorted(path.suffix for path in folder.iterdir()) != [".csv", ".png"]:
            raise WrongResult(
                f"{folder} does not hold just the two files that upload_filter keeps."
            )
        lines.append(f"{job}: {found} nuclei (known: {known})")
    return lines


TRIAL = Trial(
    "fiji",
    check,
    missing,
    install,
    get_input,
    lambda: tools.path_with(tools.TOOLS / "fiji"),
)
