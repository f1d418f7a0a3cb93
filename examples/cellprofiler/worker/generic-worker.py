"""Runs a CellProfiler pipeline on one group of images; its jobs are Distributed-CellProfiler's."""

import re
from pathlib import Path

import images
import plumbing
from plumbing import JobFailed

HERE = Path(__file__).resolve().parent
PLUGINS = Path("/home/ubuntu/CellProfiler-plugins/active_plugins")
# What Distributed-CellProfiler does when a container starts is done here when the image is built.
AT_BUILD = ("UPDATE_PLUGINS", "PLUGINS_COMMIT", "INSTALL_REQUIREMENTS")
# How CellProfiler logs an error: what it was doing, a traceback, and what went wrong.
FAULT = re.compile(r"^(.+)\nTraceback .+\n(?: .*\n)+(.+)", re.MULTILINE)
NOT_LOADED = "Failed to load pipeline"
# An error that it does not log, but ends with.
OTHER_GROUPING = "The grouping keys specified on the command line"


def output_prefix(job):
    group = group_of(job)
    structure = job.get("output_structure") or "-".join(group)
    names = "|".join(re.escape(name) for name in sorted(group, key=len, reverse=True))
    return f"{job['output']}/{re.sub(names, lambda found: group[found[0]], structure)}"


def group_of(job):
    """A job's Metadata, an object or "Metadata_Plate=P1,Metadata_Well=A01", as a dict of text."""
    given = job["Metadata"]
    if isinstance(given, str):
        given = dict(pair.partition("=")[::2] for pair in given.split(","))
    group = {key.strip(): str(value).strip() for key, value in given.items()}
    for key, value in group.items():
        if not key or not re.fullmatch("[^=,]+", value):  # all that CellProfiler's -g can take
            raise JobFailed(
                f'Metadata is {job["Metadata"]!r}, not like "Metadata_Plate=P1,Metadata_Well=A01"',
                retry=False,
            )
    return group


def run_job(job):
    workspace = {"to": job.temp_dir, "bucket": job.config["WORKSPACE_BUCKET"]}
    pipeline = job.download(job["pipeline"], **workspace)
    data_file = job.download(job["data_file"], **workspace)
    root, group, data_option = images.provide(job, data_file, group_of(job))
    asked = ",".join(f"{key}={value}" for key, value in group.items())
    done_file = job.temp_dir / "cp.is.done"
    command = [
        *("cellprofiler", "-c", "-r", "-p", pipeline, "-i", root / images.input_of(job)),
        *("-o", job.output_dir, "-t", job.temp_dir, "-d", done_file, "-L", HERE / "logging.ini"),
        *("-g", asked, *data_option, *plugins_option(job)),
    ]
    if job.config.get("ALWAYS_CONTINUE"):
        command.append("--always-continue")
    failure = None
    try:
        job.run(command, errors=OTHER_GROUPING)
    except JobFailed as error:
        if error.exit_code is None:  # not CellProfiler's own doing: there was no memory left, say
            raise
        failure = error
    # CellProfiler exits with 0, and says Complete, even if it left out a module.
    log, done = text_of(job.temp_dir / "cellprofiler.log"), text_of(done_file).strip()
    if failure or done != "Complete" or NOT_LOADED in log:
        said = str(failure or f"CellProfiler's done file says {done!r}")
        reason = why(said, log, done, asked, job.output_dir)
        final = NOT_LOADED in log or OTHER_GROUPING in said
        code = failure.exit_code if failure else 0
        raise JobFailed(f"{pipeline.name}: {reason}", retry=not final, exit_code=code)


def why(said, log, done, asked, output):
    """The reason of a failure in a CellProfiler user's words, as far as its log has it."""
    faults = FAULT.findall(log)
    for doing, error in faults:
        if doing == NOT_LOADED:
            return f"CellProfiler cannot load it: {error}"
    if (output / "Batch_data.h5").exists():
        return "it only makes Batch_data.h5: uncheck its module CreateBatchFiles"
    prepared = not any("Failed to prepare" in doing for doing, _ in faults)
    if done == "Failure" and prepared and "Image # " not in log:
        return f"it has no images of {asked}"
    for doing, error in faults:
        if " module " in doing:
            return f"{doing}: {error}"
    return said


def plugins_option(job):
    """The folder of plugins: of those in WORKSPACE_BUCKET that the job names, or in the image."""
    prefix, folder = job.get("plugins"), PLUGINS
    if prefix:
        workspace = job.config["WORKSPACE_BUCKET"]
        folder = job.download(prefix, to=job.temp_dir / "plugins", bucket=workspace)
    elif not job.config.get("USE_PLUGINS"):
        return []
    for name in AT_BUILD:
        if job.config.get(name):
            raise JobFailed(
                f"{name} is done in worker/Dockerfile here: name the plugins' version there, "
                "build the image, and set it to False",
                retry=False,
            )
    if not folder.is_dir():
        raise JobFailed(f"USE_PLUGINS: the image has no {folder}", retry=False)
    return ["--plugins-directory", folder]


def text_of(path):
    return path.read_text(errors="replace") if path.exists() else ""


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
