"""The stereotyped steps of Distributed-CellProfiler: the messages are those of its 2.2.1."""

from __future__ import annotations

import json

import pytest

from control.errors import UserError
from examples.cellprofiler import run_batch

PLATE = "Metadata_Plate=P1"
WELL = f"{PLATE},Metadata_Well=A01"
SITE = f"{WELL},Metadata_Site=1"
EACH = "Metadata_Plate/analysis/Metadata_Plate-Metadata_Well-Metadata_Site"
# Step: its Metadata, pipeline, table, batch file, output (default style, cpg style), structure.
STEPS = {
    "zproj": (
        *(SITE, "Zproj.cppipe", "load_data_unprojected.csv", "Batch_data_zproj.h5"),
        *("projects/proj/b1/images_projected", "proj/broad/images/b1/images_projected"),
        "Metadata_Plate",
    ),
    "illum": (
        *(PLATE, "illum.cppipe", "load_data.csv", "Batch_data_illum.h5"),
        *("projects/proj/b1/illum", "proj/broad/images/b1/illum", None),
    ),
    "qc": (
        *(WELL, "qc.cppipe", "load_data.csv", "Batch_data_qc.h5"),
        *("projects/proj/workspace/qc/b1/results", "proj/broad/workspace/qc/b1/results", None),
    ),
    "qc_persite": (
        *(SITE, "qc.cppipe", "load_data.csv", "Batch_data_qc.h5"),
        *("projects/proj/workspace/qc/b1/results", "proj/broad/workspace/qc/b1/results", None),
    ),
    "assaydev": (
        *(WELL, "assaydev.cppipe", "load_data_with_illum.csv", "Batch_data_assaydev.h5"),
        *("projects/proj/workspace/assaydev/b1", "proj/broad/workspace/assaydev/b1", None),
    ),
    "assaydev_persite": (
        *(SITE, "assaydev.cppipe", "load_data_with_illum.csv", "Batch_data_assaydev.h5"),
        *("projects/proj/workspace/assaydev/b1", "proj/broad/workspace/assaydev/b1", None),
    ),
    "analysis": (
        *(SITE, "analysis.cppipe", "load_data_with_illum.csv", "Batch_data_analysis.h5"),
        *("projects/proj/workspace/analysis/b1", "proj/broad/workspace/analysis/b1", EACH),
    ),
}


@pytest.fixture
def made(tmp_path):
    """Types the words, with --output; returns each job's message as Distributed-CellProfiler
    writes it: without `group`, and without the name that a job has here."""

    def make(*words):
        path = tmp_path / "jobs.json"
        run_batch.main([*words, "--output", str(path), "--overwrite"])
        shared = json.loads(path.read_text())
        groups = shared.pop("groups")
        if isinstance(groups, str):
            lines = (tmp_path / groups).read_text().splitlines()
            groups = [json.loads(line) for line in lines]
        names = [group.pop("name") for group in groups]
        assert len(set(names)) == len(names)
        return [{**shared, **group} for group in groups]

    return make


@pytest.mark.parametrize("style", ["default", "cpg"])
@pytest.mark.parametrize("step", STEPS)
def test_each_step_has_the_files_and_folders_of_its_style(made, step, style):
    metadata, pipeline, table, _, output, cpg_output, structure = STEPS[step]
    cpg = style == "cpg"
    work = "proj/broad/workspace" if cpg else "projects/proj/workspace"

    first = made(step, "proj", "b1", "P1,P2", "--path-style", style, "--source", "broad")[0]

    expected = {
        "Metadata": metadata,
        "pipeline": f"{work}/pipelines/b1/{pipeline}",
        "data_file": f"{work}/load_data_csv/b1/P1/{table}",
        "input": f"{work}/qc/b1/rules",
        "output": cpg_output if cpg else output,
    }
    if structure:
        expected["output_structure"] = structure
    assert first == expected


@pytest.mark.parametrize("step", STEPS)
def test_a_batch_file_is_pipeline_and_data_file(made, step):
    first = made(step, "proj", "b1", "P1", "--use-batch")[0]

    batch = f"projects/proj/workspace/batchfiles/b1/{STEPS[step][3]}"
    assert (first["pipeline"], first["data_file"]) == (batch, batch)


def test_without_a_layout_there_are_384_wells_of_nine_sites(made):
    jobs = made("analysis", "proj", "b1", "P1,P2")

    assert len(jobs) == 2 * 384 * 9
    assert jobs[-1]["Metadata"] == "Metadata_Plate=P2,Metadata_Well=P24,Metadata_Site=9"
    assert "/P2/" in jobs[-1]["data_file"]


@pytest.mark.parametrize(
    ("words", "wells"),
    [
        (["--plate-format", "96"], ["A01", "A02", "H12"]),
        (["--plate-format", "96", "--no-well-digit-pad"], ["A1", "A2", "H12"]),
        (["--rows", "B,C", "--columns", "3,4"], ["B03", "B04", "C04"]),
        (["--wells", "B3,C07,A1"], ["B3", "C07", "A1"]),
    ],
    ids=["format", "no-pad", "rows-and-columns", "wells-as-they-stand"],
)
def test_wells_are_written_as_asked(made, words, wells):
    jobs = [job["Metadata"].split("=")[-1] for job in made("qc", "proj", "b1", "P1", *words)]

    assert [jobs[0], jobs[1], jobs[-1]] == wells


def test_every_path_can_be_another(made):
    words = (
        *("--pipeline", "mine.cppipe", "--pipeline-path", "p", "--datafile-name", "t.csv"),
        *("--datafile-path", "d/", "--input-path", "i", "--output-path", "o{}"),
        *("--output-structure", "Metadata_Well", "--wells", "A01", "--sites", "3"),
    )

    (job,) = made("analysis", "proj", "b1", "P1", *words)

    assert job == {
        "Metadata": "Metadata_Plate=P1,Metadata_Well=A01,Metadata_Site=3",
        **{"pipeline": "p/mine.cppipe", "data_file": "d/P1/t.csv", "input": "i", "output": "o{}"},
        "output_structure": "Metadata_Well",
    }


def test_the_gallery_has_no_place_for_batch_files(made):
    words = ("illum", "proj", "b1", "P1", "--path-style", "cpg", "--source", "x", "--use-batch")
    with pytest.raises(UserError, match="no folder for batch files"):
        made(*words)

    (job,) = made(*words, "--batchfile-path", "b", "--batchfile-name", "B.h5")

    assert job["pipeline"] == "b/B.h5"
