"""Runs an ImageJ macro on some images, in Fiji without a display."""

import shutil

import plumbing


def output_prefix(job):
    return f"{job['output_location']}/{job.name}"


def run_job(job):
    workspace, script = job.config["WORKSPACE_BUCKET"], job.config["SCRIPT"]
    macro = job.download(script, bucket=workspace, to=job.temp_dir)
    images = job.download(f"{job['input_location']}/", only=job["download_filter"])

    written = job.temp_dir / "written"
    written.mkdir()
    arguments = {
        "input": images,
        "output": written,
        **job.get("shared_arguments", {}),
        **job.get("arguments", {}),
    }
    job.run(
        [
            job.config["FIJI"],
            *("--headless", "--console", "-macro", macro),
            # As ImageJ writes options; the brackets are for spaces in a value.
            " ".join(f"{name}=[{value}]" for name, value in arguments.items()),
        ],
        # Fiji may exit with 0 all the same.
        errors="Error:|Error saving|Unrecognized command",
    )

    kept = sorted(written.rglob(job["upload_filter"]))
    if not kept:
        raise plumbing.JobFailed(
            f"{script} wrote nothing that matches upload_filter {job['upload_filter']}"
        )
    for path in kept:
        shutil.move(str(path), str(job.output_dir))


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
