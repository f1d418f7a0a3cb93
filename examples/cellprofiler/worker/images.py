"""Which images a group needs, by LoadData's CSV, a file list or a batch file; fetching them."""

import contextlib
import csv
import itertools
import posixpath
from pathlib import Path

from plumbing import JobFailed

# Where SOURCE_BUCKET is mounted if DOWNLOAD_FILES is False; paths in data files begin with it.
BUCKET = "/home/ubuntu/bucket"
BATCH_SCRIPT = Path(__file__).resolve().parent / "batch_images.py"
# Of LoadData: what is larger is text to it.
LARGEST_INTEGER = 2**31 - 1


def provide(job, data_file, group):
    """See to it that CellProfiler finds the images of a group.

    Returns the folder that stands for the bucket, the group in CellProfiler's words, and the
    option that names the data file.
    """
    kind, wanted = data_file.suffix, job.config["DOWNLOAD_FILES"]
    option = {".csv": ["--data-file", data_file], ".txt": ["--file-list", data_file], ".h5": []}
    if kind not in option:
        raise JobFailed(f"data_file is {data_file.name}, no .csv, .txt or .h5", retry=False)
    if kind == ".csv":
        rows = read_table(data_file)
        selected, group = select(rows, group, data_file.name)
        if wanted:
            fetch_table(job, data_file, rows, selected)
    elif wanted and kind == ".txt":
        fetch_list(job, data_file)
    elif wanted:
        fetch_batch(job, data_file, group)
    if not wanted:
        return Path(BUCKET), group, option[kind]
    (job.input_dir / input_of(job)).mkdir(parents=True, exist_ok=True)
    pattern = job.config.get("DOWNLOAD_INPUT")
    if pattern:
        job.download(f"{input_of(job)}/", to=input_of(job), only=pattern)
    return job.input_dir, group, option[kind]


def input_of(job):
    """The job's `input`: CellProfiler's default input folder, for files that are no images."""
    return job.get("input", "").strip("/")


def read_table(path):
    """The rows of LoadData's CSV, by column."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, restval=""))
    if not rows:
        raise JobFailed(f"{path.name} has no rows", retry=False)
    return [{name: cell for name, cell in row.items() if name is not None} for row in rows]


def as_loaddata_reads(cells):
    """A column as LoadData takes it: whole numbers, numbers or text. 002 among numbers is 2."""
    with contextlib.suppress(ValueError):
        numbers = [int(cell) for cell in cells]
        small = max(abs(number) for number in numbers) <= LARGEST_INTEGER
        return [str(number) for number in numbers] if small else cells
    with contextlib.suppress(ValueError):
        return [str(float(cell)) for cell in cells]
    return cells


def select(rows, group, table):
    """The rows of a group, and the group in LoadData's words. Raises JobFailed if it has none."""
    words = dict(group)
    numbers = range(len(rows))
    for key, value in group.items():
        if key not in rows[0]:
            if key == "Metadata_Well":  # LoadData makes it of two columns, for row and column
                continue
            names = ", ".join(name for name in rows[0] if name.startswith("Metadata_"))
            raise JobFailed(f"{table} has no column {key}, only {names}", retry=False)
        cells = as_loaddata_reads([row[key] for row in rows])
        words[key] = next((w for w in (value, *as_loaddata_reads([value])) if w in cells), value)
        there = list(dict.fromkeys(cells[number] for number in numbers))
        numbers = [number for number in numbers if cells[number] == words[key]]
        if not numbers:
            some = ", ".join(there[:5]) + (", ..." if len(there) > 5 else "")
            asked = ",".join(f"{name}={value}" for name, value in group.items())
            raise JobFailed(
                f"no row of {table} is for {asked}: its {key} is {some}, as LoadData reads it",
                retry=False,
            )
    return [rows[number] for number in numbers], words


def fetch_table(job, path, rows, selected):
    """Fetch the images of the selected rows, and write the table with where they are.

    It keeps all rows, so that ImageNumber is the same as in any other job of this table.
    """
    files = [name for name in rows[0] if "FileName_" in name]
    fetch(
        job,
        [
            key_of(job, row.get(name.replace("FileName_", "PathName_"), ""), row[name])
            for row in selected
            for name in files
            if row[name]
        ],
    )
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        for row in rows:
            table.writerow({name: here(job, cell) for name, cell in row.items()})


def fetch_list(job, path):
    """Fetch the images of a file list, all of it, and write it with where they are."""
    lines = path.read_text(encoding="utf-8").split("\n")
    names = [line.strip() for line in lines if line.strip()]
    fetch(job, [key_of(job, name) for name in names])
    path.write_text("".join(f"{here(job, name)}\n" for name in names), encoding="utf-8")


def fetch_batch(job, path, group):
    """Fetch the images of a group of a batch file, and write into it where they are."""
    listed = job.temp_dir / "images_of_group.txt"
    pairs = [f"{name}={value}" for name, value in group.items()]
    with open(listed, "w") as file:
        command = ["python3", BATCH_SCRIPT, path, BUCKET, job.input_dir, *pairs]
        job.run(command, stdout=file, errors="has no group")
    fetch(job, [key_of(job, name) for name in listed.read_text(encoding="utf-8").splitlines()])


def fetch(job, keys):
    """Fetch these keys to where a mount would have them, below job.input_dir instead."""
    patient = job.config.get("ALWAYS_CONTINUE", False)
    for folder, some in itertools.groupby(
        sorted(set(keys), key=posixpath.split), posixpath.dirname
    ):
        for part in [[key] for key in some] if patient else [list(some)]:
            try:
                job.download(part, to=folder)
            except JobFailed as error:
                if not patient:
                    raise
                job.log(f"ALWAYS_CONTINUE: going on although {error}")


def key_of(job, *parts):
    """The key in SOURCE_BUCKET of a path in a data file; a relative one is below `input`."""
    path = posixpath.normpath(posixpath.join(BUCKET, input_of(job), *parts))
    if not path.startswith(f"{BUCKET}/"):
        raise JobFailed(f"{path} is not in the bucket: its path there is {BUCKET}/...", retry=False)
    return path[len(BUCKET) + 1 :]


def here(job, text):
    """A path of a data file, below job.input_dir instead of the mounted bucket."""
    return text.replace(BUCKET, str(job.input_dir))
