"""What attempts and records say about a receive: the fields of contract 3."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from plumbing.records import utc

if TYPE_CHECKING:
    from plumbing.job_log import JobLog
    from plumbing.machine import Identity
    from plumbing.outcome import Outcome
    from plumbing.process import Ending
    from plumbing.records import Keys, Past


class Report:
    """Gathers what is known; `started` in seconds since 1970."""

    def __init__(self, started: float, identity: Identity) -> None:
        self._started = started
        self._values: dict[str, Any] = {
            "download_seconds": 0.0,
            "upload_seconds": 0.0,
            "cpu_seconds": 0.0,
            "peak_memory_mb": 0.0,
            "peak_disk_mb": 0.0,
            "machine": identity.id,
            "machine_type": identity.type,
            "output_prefix": "",
            "output_files": 0,
            "output_bytes": 0,
        }

    def used(self, ending: Ending) -> None:
        """What the job's processes used."""
        self._values["cpu_seconds"] = round(ending.cpu_seconds, 3)
        self._values["peak_memory_mb"] = round(ending.peak_memory / 1e6, 1)
        self._values["peak_disk_mb"] = round(ending.peak_disk / 1e6, 3)
        if ending.result:
            self._values["download_seconds"] = round(ending.result["download_seconds"], 3)

    def found(self, prefix: str) -> None:
        """Where the outputs are that were there already."""
        self._values["output_prefix"] = prefix

    def uploaded(self, prefix: str, files: int, size: int, seconds: float) -> None:
        """What was uploaded, and where."""
        self._values["output_prefix"] = prefix
        self._values["output_files"] = files
        self._values["output_bytes"] = size
        self._values["upload_seconds"] = round(seconds, 3)

    def fields(
        self,
        keys: Keys,
        name: str,
        outcome: Outcome,
        past: Past,
        allowed: int,
        log: JobLog | None,
    ) -> dict[str, Any]:
        """All fields but `state`, as of now."""
        ended = time.time()
        ran = not past.counted >= allowed
        log_key = keys.log if log else ""
        values = self._values
        if not ran:
            # This receive only found that there are no attempts left: the last one was another,
            # and what machine that had is not known.
            values = {**values, "machine": "", "machine_type": ""}
            keys = dataclasses.replace(keys, receive=max(past.failed + past.silent))
            if past.failed:
                log_key = dataclasses.replace(keys, receive=past.failed[-1]).log
        return {
            "job_id": keys.job_id,
            "job_name": name,
            "run_id": keys.run_id,
            "submission": keys.submission,
            "receive": keys.receive,
            "attempt": past.counted + ran,
            "attempts_allowed": allowed,
            "reason": outcome.reason,
            "exit_code": outcome.exit_code,
            "signal": outcome.signal,
            "started": utc(self._started),
            "ended": utc(ended),
            "seconds": round(ended - self._started, 3),
            **values,
            "last_lines": log.last_lines() if log else [],
            "log_key": log_key,
        }
