"""The example cellprofiler with its real program: some seconds a job."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.trials.cellprofiler import (
    FULL,
    NUCLEI,
    TRIAL,
    count_nuclei,
    joined,
    original,
    pipeline,
)

BUCKET = "/home/ubuntu/bucket"
BROKEN = "input/workspace/broken.h5"
A01 = "Metadata_Plate=FlyDemo,Metadata_Well=A01"
FAST = pipeline(crop=True) if not TRIAL.missing() else ""
CREATE_BATCH_FILES = f"""CreateBatchFiles:[module_num:1|svn_version:'Unknown'|\
variable_revision_number:8|show_window:True|notes:[]|batch_state:array([], dtype=uint8)|\
enabled:True|wants_pause:False]
    Store batch files in default output folder?:Yes
    Output folder path:
    Are the cluster computers running Windows?:No
    Hidden- in batch mode:No
    Hidden- in distributed mode:No
    Hidden- default input folder at time of save:
    Hidden- revision number:0
    Hidden- from old matlab:No
    Local root path:LOCAL
    Cluster root path:{BUCKET}"""


@pytest.fixture
def example(copy_of):
    return copy_of(TRIAL)


def put(example, name, text):
    """Write a file of the workspace; returns its key."""
    (example.folder / "input/workspace" / name).write_text(text, encoding="utf-8")
    return f"input/workspace/{name}"


def modules(text):
    return text.strip().split("\n\n")[1:]


@pytest.mark.parametrize("trial", [TRIAL, FULL], ids=["corner", "whole-images"])
def test_the_known_nuclei_are_counted(copy_of, trial):
    example = copy_of(trial)

    code, out, err = example.run()

    assert (code, err) == (0, "")
    assert len(trial.check(example.output)) == 3


def test_a_pipeline_that_cannot_run_fails_for_the_reason_that_cellprofiler_has(example):
    def job(name, text):
        return {"name": name, "Metadata": A01, "pipeline": put(example, f"{name}.cppipe", text)}

    reasons = example.reasons(
        job("middle", FAST.replace("IdentifyTertiaryObjects:[", "IdentifyWonders:[")),
        job("last", FAST.replace("ExportToSpreadsheet:[", "ExportToNowhere:[")),
        job("no-image", FAST.replace("input image:CropBlue", "input image:CropViolet")),
        job("by-plate", FAST.replace("for grouping:Plate,Well", "for grouping:Plate")),
        job("makes-batch", joined([*modules(FAST), CREATE_BATCH_FILES])),
    )

    cannot = "cellprofiler: Failed to load pipeline: ValueError: Could not find the"
    assert reasons["middle"] == f"{cannot} IdentifyWonders module"
    assert reasons["last"] == f"{cannot} ExportToNowhere module"
    assert reasons["no-image"] == (
        "cellprofiler: Error detected during run of module IdentifyPrimaryObjects: "
        "ValueError: The CropViolet image is missing from the pipeline."
    )
    assert "must be the same as those defined by the modules" in reasons["by-plate"]
    assert reasons["makes-batch"] == (
        "CellProfiler says Failure: makes-batch.cppipe only makes Batch_data.h5: "
        "uncheck its module CreateBatchFiles"
    )


def test_a_job_without_its_files_or_images_fails_and_says_which(example):
    table = (example.folder / "input/workspace/load_data.csv").read_text()
    lost = put(example, "lost.csv", table.replace("01_POS002_F.TIF", "01_POS002_X.TIF"))
    listed = put(example, "list.txt", f"{BUCKET}/input/images/01_POS002_D.TIF\n")
    by_list = put(example, "by_list.cppipe", file_list_pipeline())

    reasons = example.reasons(
        {"name": "no-pipeline", "Metadata": A01, "pipeline": "input/workspace/none.cppipe"},
        {"name": "lost", "Metadata": A01, "data_file": lost},
        {"name": "no-well", "Metadata": "Metadata_Plate=FlyDemo,Metadata_Well=H12"},
        {"name": "empty"},
        {
            "name": "not-listed",
            "Metadata": "Metadata_Position=076",
            "pipeline": by_list,
            "data_file": listed,
        },
    )

    assert "neither s3://local-bucket/input/workspace/none.cppipe nor" in reasons["no-pipeline"]
    assert reasons["lost"] == "s3://local-bucket/input/images/01_POS002_X.TIF does not exist"
    assert reasons["no-well"] == (
        "no row of load_data.csv is for Metadata_Plate=FlyDemo,Metadata_Well=H12; the first, as "
        f"LoadData reads it, is for {A01}"
    )
    assert reasons["empty"].startswith("the job file has no 'Metadata'")
    assert reasons["not-listed"] == (
        "CellProfiler says Failure: are there images of Metadata_Position=076? "
        "If so, the end of its log says more"
    )


def file_list_pipeline():
    """Return the wheel's own pipeline; it groups by position, which it takes from file names."""
    changes = {
        "Extract metadata?:No": "Extract metadata?:Yes",
        "Extract from image file headers": "Extract from file/folder names",
        "Do you want to group your images?:No": "Do you want to group your images?:Yes",
        "Metadata category:None": "Metadata category:Position",
        "Image set matching method:Order": "Image set matching method:Metadata",
        "Match metadata:[]": "Match metadata:"
        + str([dict.fromkeys(("OrigBlue", "OrigGreen", "OrigRed"), "Position")]),
        "pattern?:First": "pattern?:Every",
    }
    text = original()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return re.sub(r"(from file name:).*", r"\1^01_POS(?P<Position>[0-9]{3})_", text)


def batch_file(example):
    """Make Batch_data.h5 for all positions as on a scientist's computer; return its key."""
    root, workspace = example.folder, example.folder / "input/workspace"
    put(example, "here.txt", "".join(f"{path}\n" for path in sorted(root.glob("input/images/*"))))
    module = CREATE_BATCH_FILES.replace("LOCAL", str(root))
    put(example, "make_batch.cppipe", joined([*modules(file_list_pipeline()), module]))
    command = ["cellprofiler", "-c", "-r", "-p", "make_batch.cppipe", "-i", ".", "-o", "."]
    subprocess.run(
        [*command, "--file-list", "here.txt"],
        cwd=workspace,
        env={**os.environ, **TRIAL.environment()},
        capture_output=True,
    )
    assert (workspace / "Batch_data.h5").exists()  # CellProfiler exits with 1 all the same
    (workspace / "broken.h5").write_text("no batch file")
    return "input/workspace/Batch_data.h5"


PLUGIN = """
from pathlib import Path
from cellprofiler_core.module import Module
from cellprofiler_core.preferences import get_default_output_directory

class SayHello(Module):
    module_name, category, variable_revision_number = "SayHello", "Other", 1

    def create_settings(self):
        pass

    def settings(self):
        return []

    def run(self, workspace):
        Path(get_default_output_directory(), "hello.txt").write_text("from a plugin")
"""


def test_a_plugin_is_run_and_an_image_that_is_missing_is_passed_over(example):
    """The three images as one well, one of them without its green channel."""
    table = (example.folder / "input/workspace/load_data.csv").read_text()
    table = re.sub("A0[23]", "A01", table).replace("01_POS076_F.TIF", "01_POS076_X.TIF")
    head = FAST.strip().rsplit("\n\n", 1)[-1].splitlines()[0]
    say_hello = head.replace("ExportToSpreadsheet", "SayHello").replace("number:12", "number:1")
    (example.folder / "input/plugins").mkdir()
    (example.folder / "input/plugins/sayhello.py").write_text(PLUGIN)
    example.set(ALWAYS_CONTINUE=True)

    code, out, err = example.run(
        {
            "Metadata": A01,
            "data_file": put(example, "one_well.csv", table),
            "pipeline": put(example, "hello.cppipe", joined([*modules(FAST), say_hello])),
            "plugins": "input/plugins/",
        }
    )

    assert (code, err) == (0, ""), out
    folder = example.output / "analysis/FlyDemo/A01"
    assert count_nuclei(folder) == NUCLEI["A01"] + NUCLEI["A03"]
    assert (folder / "hello.txt").read_text() == "from a plugin"


def test_a_file_list_and_a_batch_file_are_run_on_the_images_of_one_group(example):
    batch = batch_file(example)
    images = example.folder / "input/images"
    # All images are named in the batch file, and those that are not the group's are gone.
    for path in images.glob("*_POS218_*"):
        path.unlink()
    lines = [f"{BUCKET}/input/images/{path.name}\n" for path in sorted(images.iterdir())]

    code, out, err = example.run(
        {
            "Metadata": {"Metadata_Position": "076"},
            "pipeline": put(example, "by_list.cppipe", file_list_pipeline()),
            "data_file": put(example, "list.txt", "".join(lines)),
            "output_structure": "list",
        },
        {
            "Metadata": {"Metadata_Position": "076"},
            "pipeline": batch,
            "data_file": batch,
            "output_structure": "batch",
        },
    )

    assert (code, err) == (0, ""), out
    for name in ("list", "batch"):
        assert count_nuclei(example.output / "analysis" / name) == NUCLEI["A02"]

    other = {"pipeline": batch, "data_file": batch}
    reasons = example.reasons(
        {"name": "no-group", "Metadata": "Metadata_Position=999", **other},
        {"name": "no-column", "Metadata": "Metadata_Well=A01", **other},
        {"name": "broken", "Metadata": "Metadata_Position=076", **other, "data_file": BROKEN},
    )
    assert reasons["no-group"] == "python3: the batch file has no group Metadata_Position=999"
    assert reasons["no-column"] == "python3: the batch file has no group Metadata_Well=A01"
    assert "OSError: " in reasons["broken"]
