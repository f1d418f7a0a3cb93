"""Converts one image to OME-Zarr, adds a thumbnail to its pyramid, and validates the result."""

import shlex
from pathlib import Path

import plumbing

HERE = Path(__file__).resolve().parent
# How ngff-zarr says what is wrong; of a traceback the last line is the reason.
ERRORS = "^Error: |: error: |^Traceback"


def output_prefix(job):
    return f"{job['output_location']}/{job.name}"


def run_job(job):
    image = job.download(f"{job['input_location']}/{job['image']}")
    zarr = job.output_dir / f"{job['image'].split('.')[0]}.ome.zarr"
    job.run(["ngff-zarr", "-q", "-i", image, "-o", zarr, *shlex.split(job["flags"])], errors=ERRORS)
    # A script of our own, run by the Python that ngff-zarr is installed in.
    job.run(["python3", HERE / "add_thumbnail.py", zarr, job.config["THUMBNAIL"]], errors=ERRORS)
    job.run(["ome-zarr-models", "validate", zarr], errors="Invalid OME-Zarr")


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
