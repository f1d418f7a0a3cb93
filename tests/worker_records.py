"""Attempts and records like those of workers, for tests without workers."""

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
CAUSES = {
    "done": "",
    "skipped": "already_done",
    "cancelled": "cancelled",
    "failed": "exit_code",
    "interrupted": "interrupted",
}


def put(
    s3,
    run,
    job,
    state,
    *,
    submission=1,
    receive=1,
    lines=("done nothing",),
    cause=None,
    large_log=False,
    **fields,
):
    """Leave an attempt or a record, with its log; `job` has `id` and `name`.

    `large_log` puts the log into an object of its own, whatever its size. A failed record has its
    log in the attempt of the same receive, which is not left here.
    """
    kind, _, state = state.rpartition(" ")
    cause = CAUSES[state] if cause is None else cause
    end = f"{cause}.failed" if state == "failed" else state
    attempt = f"{run.prefix}attempts/{job.id}.{submission}.{receive}.{end}.json"
    key = attempt if kind else f"{run.prefix}records/{job.id}.{end}.json"
    ran = state in ("done", "failed", "interrupted")
    text = "".join(f"{line}\n" for line in lines).encode()
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
        "log_key": (attempt if state == "failed" else key) if ran else "",
        "state": state,
        **fields,
    }
    if large_log and record["log_key"]:
        record["log_key"] = f"{run.prefix}logs/{job.id}.{submission}.{receive}.txt"
        s3.put_object(Bucket=run.bucket, Key=record["log_key"], Body=text)
    elif record["log_key"] == key:
        record["log"] = base64.b64encode(gzip.compress(text, mtime=0)).decode()
    s3.put_object(Bucket=run.bucket, Key=key, Body=json.dumps(record, indent=1).encode())


def give_up(s3, run, job, *, submission=1, attempts=3, **fields):
    """Leave what a job leaves that failed for good after this many attempts."""
    for receive in range(1, attempts + 1):
        put(s3, run, job, "attempt failed", submission=submission, receive=receive, **fields)
    put(s3, run, job, "failed", submission=submission, receive=attempts, **fields)
