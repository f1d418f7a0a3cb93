"""Which images a group needs, by LoadData's CSV, a file list or a batch file; fetching them."""

import csv
import itertools
import posixpath
from contextlib import suppress
from pathlib import Path

from plumbing import JobFailed

# Where SOURCE_BUCKET is mounted if DOWNLOAD_FILES is False; paths in data files begin with it.
BUCKET = "/home/ubuntu/bucket"
BATCH_SCRIPT = Path(__file__).resolve().parent / "batch_images.py"
# Of LoadData: what is larger is text to it.
LARGEST_INTEGER = 2**31 - 1


def provide(job, data_file, group):
    """Fetch a group's images unless the bucket is mounted; the folder that stands for the bucket.

    The data file is changed to name the copies.
    """
    if data_file.suffix == ".csv":
        names = in_table(data_file, group)
    if not job.config["DOWNLOAD_FILES"]:
        return Path(BUCKET)
    if data_file.suffix == ".h5":
        names = in_batch_file(job, data_file, group)
    else:
        text = data_file.read_text(encoding="utf-8")
        if data_file.suffix == ".txt":
            names = [line.strip() for line in text.split("\n") if line.strip()]
        data_file.write_text(text.replace(BUCKET, str(job.input_dir)), encoding="utf-8")
    fetch(job, {key_of(job, name) for name in names})
    folder = input_of(job)
    (job.input_dir / folder).mkdir(parents=True, exist_ok=True)
    if job.config.get("DOWNLOAD_INPUT"):
        job.download(f"{folder}/", to=folder, only=job.config["DOWNLOAD_INPUT"])
    return job.input_dir


def as_text(group):
    """Return a group as CellProfiler's -g takes it: Metadata_Plate=P1,Metadata_Well=A01."""
    return ",".join(f"{key}={value}" for key, value in group.items())


def input_of(job):
    """Return the job's `input`: CellProfiler's default input folder, for what is not an image."""
    return job.get("input", "").strip("/")


def in_table(path, group):
    """Return the images of a group in LoadData's table. Raise JobFailed if it has none."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file, restval="")
        rows, columns = list(table), table.fieldnames or []
    there = {key: as_loaddata_reads([row[key] for row in rows]) for key in group if key in columns}
    # Metadata_Well LoadData makes by itself of two columns, for row and column.
    for key in group.keys() - there.keys() - {"Metadata_Well"}:
        names = ", ".join(name for name in columns if name.startswith("Metadata_"))
        raise JobFailed(f"{path.name} has no column {key}, only {names}", retry=False)
    selected = [
        row
        for number, row in enumerate(rows)
        if all(cells[number] == group[key] for key, cells in there.items())
    ]
    if not selected:
        first = ",".join(f"{key}={cell}" for key, cells in there.items() for cell in cells[:1])
        raise JobFailed(
            f"no row of {path.name} is for {as_text(group)}; the first, as LoadData reads it, "
            f"is for {first or 'nothing'}",
            retry=False,
        )
    return [
        posixpath.join(row.get(name.replace("FileName_", "PathName_"), ""), row[name])
        for row in selected
        for name in columns
        if "FileName_" in name and row[name]
    ]


def as_loaddata_reads(cells):
    """Return a column as LoadData reads it: integers, numbers or text. 002 among numbers is 2."""
    with suppress(ValueError):
        numbers = [int(cell) for cell in cells]
        small = all(abs(number) <= LARGEST_INTEGER for number in numbers)
        return [str(number) for number in numbers] if small else cells
    with suppress(ValueError):
        return [str(float(cell)) for cell in cells]
    return cells


def in_batch_file(job, path, group):
    """Return the images of a group of a batch file, and make the file name the copies."""
    listed = job.temp_dir / "images_of_group.txt"
    pairs = as_text(group).split(",")
    with open(listed, "w") as file:
        command = ["python3", BATCH_SCRIPT, path, BUCKET, job.input_dir, *pairs]
        job.run(command, stdout=file, errors="has no group|^Traceback")
    return listed.read_text(encoding="utf-8").splitlines()


def fetch(job, keys):
    """Fetch these keys to where a mount would have them, below job.input_dir instead."""
    patient = job.config.get("ALWAYS_CONTINUE", False)
    for folder, some in itertools.groupby(sorted(keys, key=posixpath.split), posixpath.dirname):
        for part in [[key] for key in some] if patient else [list(some)]:
            try:
                job.download(part, to=folder)
            except JobFailed as error:
                if not patient:
                    raise
                job.log(f"ALWAYS_CONTINUE: going on although {error}")


def key_of(job, name):
    """Return the key in SOURCE_BUCKET of a path in a data file; a relative one is below `input`."""
    path = posixpath.normpath(posixpath.join(BUCKET, input_of(job), name))
    if not path.startswith(f"{BUCKET}/"):
        raise JobFailed(f"{path} is not in the bucket: its path there is {BUCKET}/...", retry=False)
    return path[len(BUCKET) + 1 :]
