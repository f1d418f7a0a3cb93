"""An example of a report, made from some records without AWS."""

from __future__ import annotations

from array import array
from collections import Counter

from control.model import Run
from control.records import machine_costs
from control.reports.collect import Reading
from control.reports.figures import make_report
from tests.conftest import config_of

BEGAN = 1_767_225_600.0  # 20260101T000000Z
PREFIX = "runs/Test/20260101T000000Z/"
TIME = {
    "until": BEGAN + 7200,
    "seconds": {"m5.xlarge us-east-1a": 7200.0},
    "begin": BEGAN,
    "step": 3600.0,
    "bins": {"m5.xlarge us-east-1a": [3600.0, 3600.0]},
}
PRICES = {"m5.xlarge us-east-1a": [(BEGAN, 0.10), (BEGAN + 3600, 0.20)]}


def record(number, **changes):
    """Return a done record as a worker writes it."""
    return {
        "job_id": f"{number:016x}",
        "job_name": f"job-{number}",
        "state": "done",
        "attempt": 1,
        "attempts_allowed": 3,
        "cause": "",
        "reason": "",
        "exit_code": None,
        "signal": None,
        "submission": 1,
        "receive": 1,
        "started": "2026-01-01T00:10:00.000Z",
        "ended": "2026-01-01T00:12:00.000Z",
        "seconds": 100.0 + number,
        "download_seconds": 10.0,
        "upload_seconds": 5.0,
        "cpu_seconds": 50.0,
        "peak_memory_mb": 1000.0 + number,
        "peak_disk_mb": 20.0,
        "output_files": 2,
        "output_bytes": 1000,
        "machine": "i-0123",
        "machine_type": "m5.xlarge",
        "last_lines": ["one", "two"],
        "log_key": f"{PREFIX}records/{number:016x}.done.json",
        **changes,
    }


def failed(number, reason="tool exited with code 3", **changes):
    """Return the record of a job that failed for good."""
    last = {"state": "failed", "cause": "exit_code", "attempt": 3}
    log = f"{PREFIX}attempts/{number:016x}.1.1.exit_code.failed.json"
    return record(number, **{**last, "reason": reason, "log_key": log, **changes})


def make(
    done=(),
    failures=(),
    *,
    submitted=None,
    lost=(),
    cancelled=0,
    prices=None,
    local=False,
    **changes,
):
    """Return the report of a run of some records; `changes` change the run."""
    run = Run(
        **{
            **{"app_name": "Test", "run_id": "20260101T000000Z", "bucket": "bucket"},
            **{"region": "us-east-1", "account": "1", "owner": "me"},
            "config": config_of(),
            **changes,
        }
    )
    reading = Reading(
        submitted=len(done) + len(failures) if submitted is None else submitted,
        times={
            "done": array("d", (BEGAN + 60 * (i + 1) for i in range(len(done)))),
            "failed": array("d", (BEGAN + 90 for _ in failures)),
            "cancelled": array("d", (BEGAN + 100 for _ in range(cancelled))),
        },
        causes=Counter(one.get("cause", "") for one in failures),
        attempts=Counter(one["state"] for one in lost),
        log_bytes=5000.0,
        done=list(done),
        failed=list(failures),
        lost=list(lost),
    )
    cost = machine_costs.machine_cost(run.machine_time, prices or {})
    return make_report(run, reading, cost, BEGAN + 7200, local=local)
