"""A worker whose jobs do what each test asks for."""

import plumbing


def output_prefix(job):
    return f"out/{job.name}"


def run_job(job):
    print(f"{job.name} has begun")
    if job["do"] == "wait":
        while not job.s3.list_objects_v2(Bucket=job.source_bucket, Prefix="go").get("Contents"):
            job.run(["sleep", "0.2"])
    if job["do"] == "take memory":
        job.run(["/usr/bin/python3", "-c", "bytearray(2000 << 20)"])
    (job.output_dir / "done.txt").write_text("done")


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
