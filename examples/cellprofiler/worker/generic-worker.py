"""Runs a CellProfiler pipeline on one group of images; its jobs are Distributed-CellProfiler's."""

import re
from pathlib import Path

import images
import plumbing
from plumbing import JobFailed

PLUGINS = Path("/home/ubuntu/CellProfiler-plugins/active_plugins")
# What Distributed-CellProfiler does when a container starts is done here when the image is built.
AT_BUILD = ("UPDATE_PLUGINS", "PLUGINS_COMMIT", "INSTALL_REQUIREMENTS")
# What CellProfiler logs, followed by the error. It exits with 0, and says Complete, even if it left
# out modules because it could not load them.
NEVER_RUNS = "Failed to load pipeline|The grouping keys specified on the command line"
FAILS = f"{NEVER_RUNS}|Failed to prepare|Failed during post-group"
MODULE_FAILS = "Error detected during run of module"


def output_prefix(job):
    group = group_of(job)
    place = job.get("output_structure") or "-".join(group)
    for key in sorted(group, key=len, reverse=True):  # Metadata_Plate begins Metadata_PlateName
        place = place.replace(key, group[key])
    return f"{job['output']}/{place}"


def group_of(job):
    """Return a job's Metadata, "Metadata_Plate=P1,Metadata_Well=A01" or an object, as a dict.

    The group itself may be that object, as `cellprofiler --print-groups` prints it.
    """
    group = {key: value for key, value in job.values["group"].items() if "Metadata_" in key}
    given = group or job["Metadata"]
    if not isinstance(given, str):
        given = images.as_text(given)
    pairs = [[part.strip() for part in pair.split("=")] for pair in given.split(",")]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise JobFailed(
            f'Metadata is "{given}", not like "Metadata_Plate=P1,Metadata_Well=A01"', retry=False
        )
    return dict(pairs)


def run_job(job):
    workspace = {"to": job.temp_dir, "bucket": job.config["WORKSPACE_BUCKET"]}
    pipeline = job.download(job["pipeline"], **workspace)
    data_file = job.download(job["data_file"], **workspace)
    options = [*data_option(data_file), *plugins_option(job)]
    group, done_file = group_of(job), job.temp_dir / "cp.is.done"
    bucket = images.provide(job, data_file, group)
    command = [
        *("cellprofiler", "-c", "-r", "-p", pipeline, "-i", bucket / images.input_of(job)),
        *("-o", job.output_dir, "-t", job.temp_dir, "-d", done_file),
        *("-g", images.as_text(group), *options),
    ]
    errors = FAILS
    if job.config.get("ALWAYS_CONTINUE"):
        command.append("--always-continue")
    else:
        errors += f"|{MODULE_FAILS}"
    try:
        job.run(command, errors=errors)
    except JobFailed as error:
        error.retry = error.retry and not re.search(NEVER_RUNS, str(error))
        if "exited with code 255" not in str(error):
            raise
        # It said Failure, and none of the errors above.
        reason = f"are there images of {images.as_text(group)}? If so, the end of its log says more"
        if (job.output_dir / "Batch_data.h5").exists():
            reason = (
                f"{pipeline.name} only makes Batch_data.h5: uncheck its module CreateBatchFiles"
            )
        raise JobFailed(f"CellProfiler says Failure: {reason}", exit_code=255) from None
    said = done_file.read_text().strip() if done_file.exists() else ""
    if said != "Complete":
        raise JobFailed(f"CellProfiler's done file says {said!r}, not 'Complete'")


def data_option(data_file):
    options = {".csv": ["--data-file", data_file], ".txt": ["--file-list", data_file], ".h5": []}
    if data_file.suffix not in options:
        raise JobFailed(f"data_file is {data_file.name}, no .csv, .txt or .h5", retry=False)
    return options[data_file.suffix]


def plugins_option(job):
    """Return the option for plugins: those in WORKSPACE_BUCKET the job names, else the image's."""
    if job.get("plugins"):
        workspace = {"to": job.temp_dir / "plugins", "bucket": job.config["WORKSPACE_BUCKET"]}
        return ["--plugins-directory", job.download(job["plugins"], **workspace)]
    if not job.config.get("USE_PLUGINS"):
        return []
    for name in AT_BUILD:
        if job.config.get(name):
            raise JobFailed(
                f"{name} is done in worker/Dockerfile here: name the plugins' version there, "
                "build the image, and set it to False",
                retry=False,
            )
    return ["--plugins-directory", PLUGINS]


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
