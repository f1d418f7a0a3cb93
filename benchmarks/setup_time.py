#!/usr/bin/env python3
"""`run.py setup` from nothing, and again, against the embedded AWS: seconds as a user sees them.

python benchmarks/setup_time.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import boto3  # noqa: E402

import embedded_aws  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with embedded_aws.running(worker_folder=ROOT / "worker", state_folder=state) as server:
            environment = {**os.environ, **server.environment, "EMBEDDED_AWS": "1"}
            environment.pop("AWS_PROFILE", None)
            os.environ.update(server.environment)
            boto3.client("s3").create_bucket(Bucket="local-bucket")
            _seconds(environment, "setupAWS")
            print(f"setup from nothing  {_seconds(environment, 'setup'):6.2f} s")
            print(f"setup again         {_seconds(environment, 'setup'):6.2f} s")


def _seconds(environment: dict[str, str], verb: str) -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "run.py", verb],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - began


if __name__ == "__main__":
    main()
