"""What workers leave on S3 about a job, for tests without workers."""

from __future__ import annotations

import json

FIELDS = {
    "attempts_allowed": 3,
    "exit_code": None,
    "signal": None,
    "started": "2026-01-01T00:10:00.000Z",
    "ended": "2026-01-01T00:12:30.000Z",
    "seconds": 150.0,
    "download_seconds": 0.0,
    "upload_seconds": 0.0,
    "cpu_seconds": 0.0,
    "peak_memory_mb": 0.0,
    "peak_disk_mb": 0.0,
    "machine": "i-1",
    "machine_type": "m5.xlarge",
    "output_prefix": "",
    "output_files": 0,
    "output_bytes": 0,
}


def put(s3, run, job, state, *, submission=1, receive=1, lines=("done nothing",), **fields):
    """Leave an attempt, with its log, or a record; `job` has `id` and `name`."""
    log = f"{run.prefix}logs/{job.id}.{submission}.{receive}.txt"
    record = {
        "job_id": job.id,
        "job_name": job.name,
        "run_id": run.run_id,
        "submission": submission,
        "receive": receive,
        "attempt": receive,
        "reason": "" if state == "done" else "it failed",
        **FIELDS,
        "last_lines": list(lines),
        "log_key": log,
        "state": state.removeprefix("attempt "),
        **fields,
    }
    if record["log_key"]:
        s3.put_object(Bucket=run.bucket, Key=log, Body="".join(f"{x}\n" for x in lines).encode())
    name = f"records/{job.id}.{state}.json"
    if state.startswith("attempt "):
        name = f"attempts/{job.id}.{submission}.{receive}.{record['state']}.json"
    body = json.dumps(record, indent=1).encode()
    s3.put_object(Bucket=run.bucket, Key=run.prefix + name, Body=body)


def give_up(s3, run, job, *, submission=1, attempts=3, **fields):
    """Leave what a job leaves that failed so many times."""
    for receive in range(1, attempts + 1):
        put(s3, run, job, "attempt failed", submission=submission, receive=receive, **fields)
    put(s3, run, job, "failed", submission=submission, receive=attempts, **fields)
