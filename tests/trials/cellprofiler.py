"""cellprofiler: the real CellProfiler 4.2.8.1, with the images and the pipeline of its own wheel.

The pipeline is made to load images by LoadData, in groups. As it comes it crops them to a corner,
which takes seconds; `cellprofiler-full` measures all of each image, in half a minute.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.trials import tools
from tests.trials.trial import Trial, WrongResult

REQUIREMENTS = Path(__file__).with_name("cellprofiler-requirements.txt")
PROGRAMS = {
    "python3.11": "python3.11-dev python3.11-venv",
    "g++": "g++",
    "javac": "openjdk-17-jdk-headless",
}
# Compiled here, along with the packages that they are to run with.
COMPILERS = ("setuptools==69.5.1", "wheel", "cython==0.29.37", "numpy==1.23.5")
COMPILED = ("python-javabridge==4.0.5", "centrosome==1.2.3")
CORE = "cellprofiler-core==4.2.8.1"
PIPELINE = "cellprofiler/data/examples/ExampleFly/ExampleFly.cppipe"
WELLS = {"A01": "POS002", "A02": "POS076", "A03": "POS218"}
CHANNELS = {"OrigBlue": "D", "OrigGreen": "F", "OrigRed": "R"}
# Counted by the same CellProfiler outside of this project: in the corner, and in all of the image.
NUCLEI = {"A01": 31, "A02": 26, "A03": 19}
ALL_NUCLEI = {"A01": 273, "A02": 796, "A03": 644}

_LOAD_DATA = """LoadData:[module_num:1|svn_version:'Unknown'|variable_revision_number:6|\
show_window:False|notes:[]|batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]
    Input data file location:Default Input Folder|
    Name of the file:load_data.csv
    Load images based on this data?:Yes
    Base image location:Default Input Folder|
    Process just a range of rows?:No
    Rows to process:1,100000
    Group images by metadata?:Yes
    Select metadata tags for grouping:Plate,Well
    Rescale intensities?:Yes"""


def missing() -> str:
    """Return why CellProfiler cannot be used here, "" if it can."""
    return tools.lacking(PROGRAMS) or tools.missing("cellprofiler", _recipe())


def install() -> None:
    """Install CellProfiler in its own environment, and download the images."""
    tools.require(PROGRAMS)
    tools.make("cellprofiler", _recipe(), _build)
    tools.images()


def environment() -> Mapping[str, str]:
    """Return the environment with CellProfiler, and its Python as python3."""
    return tools.path_with(tools.TOOLS / "cellprofiler/bin")


def _recipe() -> str:
    return "\n".join([tools.CELLPROFILER, CORE, *COMPILED, *COMPILERS, REQUIREMENTS.read_text()])


def _build(folder: Path) -> None:
    java = Path(os.path.realpath(shutil.which("javac") or "")).parents[1]
    pip = [folder / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    tools.command(["python3.11", "-m", "venv", folder])
    tools.command([*pip, *COMPILERS])
    tools.command(
        ["env", f"JAVA_HOME={java}", *pip, "--no-build-isolation", "--no-deps", *COMPILED]
    )
    tools.command([*pip, "--only-binary", ":all:", "-r", REQUIREMENTS])
    tools.command([*pip, "--no-deps", CORE, tools.CELLPROFILER])
    tools.command([folder / "bin/cellprofiler", "--version"])


def get_input(folder: Path) -> None:
    """Put images, pipelines and LoadData's table into a folder, laid out as in a bucket."""
    shutil.copytree(tools.images(), folder / "images", dirs_exist_ok=True)
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    (workspace / "ExampleFly.cppipe").write_text(pipeline(crop=True), encoding="utf-8")
    (workspace / "ExampleFly_full.cppipe").write_text(pipeline(crop=False), encoding="utf-8")
    with open(workspace / "load_data.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_table("/home/ubuntu/bucket/input/images"))


def _table(images: str) -> list[list[str]]:
    """A row for each well, with the paths that Distributed-CellProfiler's tables have."""
    names = [f"{kind}_{channel}" for channel in CHANNELS for kind in ("FileName", "PathName")]
    rows = [["Metadata_Plate", "Metadata_Well", *names]]
    for well, position in WELLS.items():
        cells = [cell for c in CHANNELS.values() for cell in (f"01_{position}_{c}.TIF", images)]
        rows.append(["FlyDemo", well, *cells])
    return rows


def original() -> str:
    """Return the wheel's own pipeline, which loads images by the modules of its first page."""
    with zipfile.ZipFile(tools.wheel(tools.CELLPROFILER)) as package:
        return package.read(PIPELINE).decode("utf-8").replace("\r\n", "\n")


def pipeline(*, crop: bool) -> str:
    """Return the wheel's pipeline with LoadData, for the corner or for all of each image."""
    _, *modules = original().strip().split("\n\n")
    # Images, Metadata, NamesAndTypes, Groups.
    kept = modules[4:]
    if crop:
        # Each image has a job of its own, so that there is no first cycle to take it from.
        kept = [
            module.replace("cropping pattern?:First", "cropping pattern?:Every") for module in kept
        ]
    else:
        # Holes are filled as in the example of Distributed-CellProfiler, whose counts are known.
        kept = [
            re.sub(r"\bCrop(Blue|Green|Red)\b", r"Orig\1", module).replace(
                "objects?:After declumping only", "objects?:After both thresholding and declumping"
            )
            for module in kept
            if not module.startswith("Crop:")
        ]
    return joined([_LOAD_DATA, *kept])


def joined(modules: list[str]) -> str:
    """Return a pipeline of these modules."""
    head = original().split("\n\n")[0]
    numbered = [
        re.sub(r"module_num:\d+", f"module_num:{number}", module, count=1)
        for number, module in enumerate(modules, start=1)
    ]
    return "\n\n".join([re.sub(r"(ModuleCount:)\d+", rf"\g<1>{len(modules)}", head), *numbered, ""])


def count_nuclei(folder: Path) -> int:
    """Return how many nuclei a job has measured: one per line."""
    path = folder / "Nuclei.csv"
    if not path.is_file():
        raise WrongResult(f"There is no {path}.")
    with open(path, newline="", encoding="utf-8") as file:
        return len(list(csv.DictReader(file)))


def _check(output: Path, known: Mapping[str, int]) -> list[str]:
    lines = []
    for well, nuclei in known.items():
        found = count_nuclei(output / "analysis/FlyDemo" / well)
        if found != nuclei:
            raise WrongResult(f"{well} has {found} nuclei, not {nuclei}.")
        lines.append(f"{well}: {found} nuclei (known: {nuclei})")
    return lines


def check(output: Path) -> list[str]:
    """Check that each well has its known number of nuclei in the corner."""
    return _check(output, NUCLEI)


def check_full(output: Path) -> list[str]:
    """Check that each well has its known number of nuclei."""
    return _check(output, ALL_NUCLEI)


TRIAL = Trial("cellprofiler", check, missing, install, get_input, environment)
FULL = dataclasses.replace(
    TRIAL,
    name="cellprofiler-full",
    of="cellprofiler",
    check=check_full,
    job_file="files/fullJob.json",
)
