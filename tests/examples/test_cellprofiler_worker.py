"""The jobs of the example cellprofiler, with a stand-in for the program."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys

import boto3
import pytest
from moto import mock_aws

from plumbing.errors import JobFailed
from plumbing.job import Job
from plumbing.settings import Config
from tests.trials.trial import EXAMPLES

FOLDER = EXAMPLES / "cellprofiler/worker"
BUCKET = "/home/ubuntu/bucket"
A01 = "Metadata_Plate=P1,Metadata_Well=A01"
SHARED = {
    "pipeline": "work/p.cppipe",
    "data_file": "work/load_data.csv",
    "input": "work/rules/",
    "output": "results",
}
# Two wells of two sites, in folders of their own.
TABLE = f"""Metadata_Plate,Metadata_Well,Metadata_Site,FileName_DNA,PathName_DNA,\
ObjectsFileName_N,ObjectsPathName_N
P1,A01,01,a1.tif,{BUCKET}/images/A01,n1.tif,{BUCKET}/masks/
P1,A01,02,a2.tif,{BUCKET}/images/A01,n2.tif,{BUCKET}/masks/
P1,A02,01,a1.tif,{BUCKET}/images/A02,n3.tif,{BUCKET}/masks/
"""
# Write the arguments to a file, then act like the program.
PROGRAM = """#!/bin/sh
printf '%s\\n' "$@" > argv.txt
while [ $# -gt 1 ]; do
  case "$1" in -d) done="$2";; -o) out="$2";; esac
  shift
done
echo 1 > "$out/Image.csv"
echo Complete > "$done"
"""
NOT_LOADED = """echo 'Failed to load pipeline
Traceback (most recent call last):
  File "x.py", line 1, in f
ValueError: Could not find the Blur module' >&2
"""
MODULE_FAILED = "echo Error detected during run of module Crop >&2\n"


@pytest.fixture(scope="module")
def worker():
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("cp_worker", FOLDER / "generic-worker.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        yield client


@pytest.fixture
def job(s3, tmp_path, monkeypatch):
    """Makes a job of these values, with these settings, in a bucket with these objects; and a
    program that does this."""

    def make(metadata=A01, *, settings=(), objects=(), program=PROGRAM, **values):
        stored = {"work/p.cppipe": "pipeline", "work/load_data.csv": TABLE, **dict(objects)}
        for key, text in stored.items():
            s3.put_object(Bucket="bucket", Key=key, Body=text.encode())
        path = tmp_path / "bin/cellprofiler"
        path.parent.mkdir(exist_ok=True)
        path.write_text(program)
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        made = Job(
            id="0123456789abcdef",
            name="name",
            values={**SHARED, **values, "group": {"Metadata": metadata}},
            config=Config({"WORKSPACE_BUCKET": "bucket", "DOWNLOAD_FILES": True, **dict(settings)}),
            folder=tmp_path / "job",
            source_bucket="bucket",
            s3=s3,
        )
        for folder in (made.input_dir, made.output_dir, made.temp_dir):
            folder.mkdir(parents=True)
        return made

    return make


IMAGES = dict.fromkeys(
    ("images/A01/a1.tif", "images/A01/a2.tif", "images/A02/a1.tif"), "image"
) | dict.fromkeys(("masks/n1.tif", "masks/n2.tif", "masks/n3.tif"), "mask")


def told(job):
    """Return the arguments that the program received, by option."""
    words = (job.temp_dir / "argv.txt").read_text().split("\n")[:-1]
    return {word: following for word, following in zip(words, [*words[1:], ""], strict=True)}


def fetched(job):
    return {str(p.relative_to(job.input_dir)) for p in job.input_dir.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("metadata", "structure", "prefix"),
    [
        (A01, None, "P1-A01"),
        (A01, "", "P1-A01"),
        (A01, "Metadata_Plate/Metadata_Well", "P1/A01"),
        (A01, "Metadata_Plate/illum", "P1/illum"),
        ("Metadata_Plate=P1, Metadata_Well=A01", None, "P1-A01"),
        ({"Metadata_Plate": "P1", "Metadata_Site": 2}, "Metadata_Plate-Metadata_Site", "P1-2"),
        ("Metadata_Plate=X,Metadata_PlateName=Y", "Metadata_PlateName/Metadata_Plate", "Y/X"),
    ],
    ids=["no-structure", "empty", "folders", "part-of-it", "spaces", "object", "prefix-of-a-key"],
)
def test_results_go_where_the_output_structure_says(worker, job, metadata, structure, prefix):
    values = {} if structure is None else {"output_structure": structure}

    assert worker.output_prefix(job(metadata, **values)) == f"results/{prefix}"


def test_the_group_itself_may_be_the_metadata_as_print_groups_prints_it(worker, job):
    one = job(objects=IMAGES)
    one.values["group"].clear()
    one.values["group"].update({"Metadata_Plate": "P1", "Metadata_Well": "A02"})

    worker.run_job(one)

    assert told(one)["-g"] == "Metadata_Plate=P1,Metadata_Well=A02"
    assert worker.output_prefix(one) == "results/P1-A02"


@pytest.mark.parametrize(
    "metadata", ["P1,A01", "Metadata_Plate=", "Metadata_Plate=a=b", {"Metadata_Plate": "a,b"}, ""]
)
def test_metadata_that_cellprofiler_cannot_be_given_is_refused(worker, job, metadata):
    with pytest.raises(JobFailed, match='not like "Metadata_Plate=P1') as failure:
        worker.output_prefix(job(metadata))

    assert not failure.value.retry


def test_only_the_images_of_the_group_are_fetched_and_the_table_has_all_rows(worker, job):
    one = job(objects=IMAGES)

    worker.run_job(one)

    assert fetched(one) == {
        "images/A01/a1.tif",
        "images/A01/a2.tif",
        "masks/n1.tif",
        "masks/n2.tif",
    }
    command = told(one)
    assert command["-i"] == str(one.input_dir / "work/rules")
    assert command["-g"] == A01
    with open(command["--data-file"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert rows[0]["PathName_DNA"] == str(one.input_dir / "images/A01")


def test_with_a_mount_nothing_is_fetched(worker, job):
    one = job(settings={"DOWNLOAD_FILES": False})

    worker.run_job(one)

    command = told(one)
    assert fetched(one) == set()
    assert command["-i"] == f"{BUCKET}/work/rules"
    assert BUCKET in (one.temp_dir / "load_data.csv").read_text()
    assert "--always-continue" not in command and "--plugins-directory" not in command


def test_a_number_is_given_as_loaddata_reads_it(worker, job, tmp_path):
    one = job(f"{A01},Metadata_Site=1", objects=IMAGES)

    worker.run_job(one)

    assert told(one)["-g"] == f"{A01},Metadata_Site=1"
    assert fetched(one) == {"images/A01/a1.tif", "masks/n1.tif"}
    (tmp_path / "job").rename(tmp_path / "first")
    with pytest.raises(JobFailed) as as_written:
        worker.run_job(job(f"{A01},Metadata_Site=01", objects=IMAGES))
    assert str(as_written.value) == (
        f"no row of load_data.csv is for {A01},Metadata_Site=01; the first, as LoadData reads it, "
        f"is for {A01},Metadata_Site=1"
    )


def test_a_column_is_read_as_loaddata_reads_it(worker):
    read = worker.images.as_loaddata_reads

    assert read(["002", "10"]) == ["2", "10"]
    assert read(["1", "0.50"]) == ["1.0", "0.5"]
    assert read(["01", "A"]) == ["01", "A"]
    assert read(["0020231234567", "1"]) == ["0020231234567", "1"]  # more than 32 bits: text


def test_what_a_group_lacks_is_reported(worker, job):
    table = TABLE.replace("Metadata_Plate,", "Metadata_Barcode,")
    with pytest.raises(JobFailed) as no_column:
        worker.run_job(job(objects={"work/load_data.csv": table}))
    assert str(no_column.value) == (
        "load_data.csv has no column Metadata_Plate, only Metadata_Barcode, Metadata_Well, "
        "Metadata_Site"
    )


def test_a_table_without_rows_has_no_group(worker, job):
    head = TABLE.split("\n")[0]
    with pytest.raises(JobFailed, match="no row of load_data.csv is for .* is for nothing"):
        worker.run_job(job(objects={"work/load_data.csv": head}))


def test_the_well_may_be_made_of_row_and_column(worker, job):
    table = TABLE.replace("Metadata_Well", "Metadata_Row")
    one = job(objects={**IMAGES, "work/load_data.csv": table})

    worker.run_job(one)

    assert told(one)["-g"] == A01
    assert fetched(one) == set(IMAGES)


def test_an_image_outside_of_the_bucket_is_reported(worker, job):
    table = TABLE.replace(f"{BUCKET}/images", "/Users/me/images")
    with pytest.raises(JobFailed, match="/Users/me/images/A01/a1.tif is not in the bucket"):
        worker.run_job(job(objects={**IMAGES, "work/load_data.csv": table}))


def test_a_relative_path_is_below_the_input(worker, job):
    table = TABLE.replace(f"{BUCKET}/images", "../../images")
    one = job(objects={**IMAGES, "work/load_data.csv": table})

    worker.run_job(one)

    assert "images/A01/a1.tif" in fetched(one)


def test_a_missing_image_fails_the_job_unless_it_is_to_continue_always(
    worker, job, tmp_path, capsys
):
    objects = {key: text for key, text in IMAGES.items() if key != "images/A01/a1.tif"}
    with pytest.raises(JobFailed, match="s3://bucket/images/A01/a1.tif does not exist"):
        worker.run_job(job(objects=objects))
    (tmp_path / "job").rename(tmp_path / "first")
    one = job(objects=objects, settings={"ALWAYS_CONTINUE": True})

    worker.run_job(one)

    assert fetched(one) == {"images/A01/a2.tif", "masks/n1.tif", "masks/n2.tif"}
    assert "--always-continue" in told(one)
    assert (
        "going on although s3://bucket/images/A01/a1.tif does not exist" in capsys.readouterr().out
    )


def test_files_of_the_input_folder_are_fetched_if_requested(worker, job):
    rules = {"work/rules/a.txt": "1", "work/rules/deep/b.txt": "2", "work/rules/c.tif": "3"}
    one = job(objects={**IMAGES, **rules}, settings={"DOWNLOAD_INPUT": "*.txt"})

    worker.run_job(one)

    assert {"work/rules/a.txt", "work/rules/deep/b.txt"} <= fetched(one)
    assert "work/rules/c.tif" not in fetched(one)


def test_a_file_list_is_fetched_and_names_the_copies(worker, job):
    listed = f"{BUCKET}/images/A01/a1.tif\n\n{BUCKET}/masks/n1.tif\r\n"
    one = job(objects={**IMAGES, "work/list.txt": listed}, data_file="work/list.txt")

    worker.run_job(one)

    with open(told(one)["--file-list"]) as file:
        assert file.read().split() == [
            str(one.input_dir / "images/A01/a1.tif"),
            str(one.input_dir / "masks/n1.tif"),
        ]
    assert fetched(one) == {"images/A01/a1.tif", "masks/n1.tif"}


def test_a_data_file_of_another_kind_is_refused(worker, job):
    with pytest.raises(JobFailed, match="data_file is p.cppipe, no .csv, .txt or .h5"):
        worker.run_job(job(data_file="work/p.cppipe"))


def test_plugins_come_from_the_bucket_or_the_image(worker, job, tmp_path):
    one = job(objects={**IMAGES, "plug/blur.py": "1"}, plugins="plug/")
    worker.run_job(one)
    assert (one.temp_dir / "plugins/blur.py").exists()
    assert told(one)["--plugins-directory"] == str(one.temp_dir / "plugins")

    (tmp_path / "job").rename(tmp_path / "first")
    one = job(objects=IMAGES, settings={"USE_PLUGINS": True})
    worker.run_job(one)
    assert told(one)["--plugins-directory"] == "/home/ubuntu/CellProfiler-plugins/active_plugins"


@pytest.mark.parametrize("name", ["UPDATE_PLUGINS", "PLUGINS_COMMIT", "INSTALL_REQUIREMENTS"])
def test_what_only_a_new_image_can_do_is_not_passed_over(worker, job, name):
    one = job(objects=IMAGES, settings={"USE_PLUGINS": True, name: True})

    with pytest.raises(JobFailed, match=f"{name} is done in worker/Dockerfile here"):
        worker.run_job(one)


@pytest.mark.parametrize(
    ("program", "reason", "retry", "code"),
    [
        (PROGRAM + NOT_LOADED, "load pipeline: ValueError: Could not find the Blur", False, 0),
        (PROGRAM + MODULE_FAILED, "Error detected during run of module Crop", True, 0),
        (PROGRAM.replace("Complete", "Failure"), "done file says 'Failure'", True, None),
        (PROGRAM.replace("echo Complete", "true"), "done file says ''", True, None),
        (PROGRAM + "exit 255", "CellProfiler says Failure: are there images of", True, 255),
        (PROGRAM + "exit 3", "cellprofiler exited with code 3", True, 3),
    ],
    ids=["module-left-out", "module-failed", "failure", "no-done-file", "no-images", "exit-code"],
)
def test_success_is_more_than_the_exit_code(worker, job, program, reason, retry, code):
    with pytest.raises(JobFailed, match=reason) as failure:
        worker.run_job(job(objects=IMAGES, program=program))

    assert (failure.value.retry, failure.value.exit_code) == (retry, code)


def test_a_module_may_fail_if_it_is_to_continue_always(worker, job):
    program, settings = PROGRAM + MODULE_FAILED, {"ALWAYS_CONTINUE": True}

    worker.run_job(job(objects=IMAGES, program=program, settings=settings))


def test_a_program_that_did_not_end_by_itself_keeps_its_own_reason(worker, job):
    with pytest.raises(JobFailed, match="^cellprofiler was ended by SIGKILL$"):
        worker.run_job(job(objects=IMAGES, program="#!/bin/sh\nkill -KILL $$\n"))


def test_the_example_of_distributed_cellprofiler_works_as_it_is(worker, job):
    """Its configuration names all settings by text, and its tables have positions such as 002."""
    table = f"FileName_A,Metadata_Position,PathName_A\na.tif,002,{BUCKET}/p/images\n"
    values = json.loads(
        '{"pipeline": "p/w/p.cppipe", "data_file": "p/w/load_data.csv", "input": "p/w/", '
        '"output": "p/output", "output_structure": "Metadata_Position"}'
    )
    objects = {"p/w/p.cppipe": "", "p/w/load_data.csv": table, "p/images/a.tif": "image"}
    one = job("Metadata_Position=2", objects=objects, **values)

    worker.run_job(one)

    assert worker.output_prefix(one) == "p/output/2"
    assert told(one)["-g"] == "Metadata_Position=2"
    assert fetched(one) == {"p/images/a.tif"}
