"""What workers leave on S3 about a job, for tests without workers."""

from __future__ import annotations

import base64
import gzip
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


CAUSES = {"done": "", "skipped": "already_done", "failed": "exit_code"}


def put(s3, run, job, state, *, submission=1, receive=1, lines=("done nothing",), **fields):
    """Leave an attempt or a record with its log; `job` has `id` and `name`.

    `state` is that of a record, or "attempt failed" or "attempt interrupted". A failed record names
    the log of the attempt of the same receive. `log_key` = "" leaves the log out.
    """
    folder = "attempts" if state.startswith("attempt ") else "records"
    state = state.removeprefix("attempt ")
    cause = fields.get("cause", CAUSES.get(state, state))
    ends = f"{cause}.failed" if state == "failed" else state
    attempt = f"attempts/{job.id}.{submission}.{receive}.{ends}.json"
    name = attempt if folder == "attempts" else f"records/{job.id}.{ends}.json"
    record = {
        "job_id": job.id,
        "job_name": job.name,
        "run_id": run.run_id,
        "submission": submission,
        "receive": receive,
        "attempt": receive,
        "cause": cause,
        "reason": "" if state == "done" else "it failed",
        **FIELDS,
        "last_lines": list(lines),
        "log_key": run.prefix + (attempt if state == "failed" else name),
        "state": state,
        **fields,
    }
    if record["log_key"] == run.prefix + name:
        record["log"] = packed("".join(f"{line}\n" for line in lines))
    body = json.dumps(record, indent=1).encode()
    s3.put_object(Bucket=run.bucket, Key=run.prefix + name, Body=body)


def packed(text):
    """Return a log as it travels inside a record."""
    return base64.b64encode(gzip.compress(text.encode())).decode()


def give_up(s3, run, job, *, submission=1, attempts=3, **fields):
    """Leave what a job leaves that failed so many times."""
    for receive in range(1, attempts + 1):
        put(s3, run, job, "attempt failed", submission=submission, receive=receive, **fields)
    put(s3, run, job, "failed", submission=submission, receive=attempts, **fields)
