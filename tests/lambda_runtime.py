"""The auto-monitor as Lambda runs it: from its zip, with boto3 and nothing else to import."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from control.aws.sqs import queue_counts

# boto3 and its dependencies, as the runtime of Lambda has them.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
# The handler's clock is ahead by the minutes that its calls have let pass.
DRIVER = """
import importlib.util, json, sys, time
sys.path[:0] = sys.argv[1:3]
for name in ("rich", "moto", "pytest", "embedded_aws"):
    assert importlib.util.find_spec(name) is None, name
from control.monitoring import auto_monitor
assert auto_monitor.__file__.startswith(sys.argv[1]), auto_monitor.__file__
passed = 0
for line in sys.stdin:
    event, minutes = json.loads(line)
    passed += minutes
    clock = lambda: time.time() + 60 * passed
    try:
        answer = auto_monitor.handler(event, None, clock)
    except Exception as error:
        answer = {"raised": f"{type(error).__name__}: {error}"}
    sys.stdout.write("ANSWER " + json.dumps(answer) + "\\n")
    sys.stdout.flush()
"""


def minutes_to_pass(sqs, queue_url):
    """Return 1, the minutes before the next call, if no job waits or runs; else 0.

    Jobs take real time: workers that are slow to start on a busy computer would be ended as idle
    ones.
    """
    left = queue_counts(sqs, queue_url)
    return 0 if left and left.total else 1


@contextmanager
def running(code: bytes, folder: Path, keys=()):
    """Yield a function that calls the handler with an event, some minutes (0) after the last call.

    `keys` are a role's.
    """
    zip_file, libraries = folder / "function.zip", folder / "runtime"
    zip_file.write_bytes(code)
    libraries.mkdir()
    for name in RUNTIME:
        found = Path(importlib.util.find_spec(name).origin)
        source = found.parent if found.name == "__init__.py" else found
        (libraries / source.name).symlink_to(source)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", DRIVER, str(zip_file), str(libraries)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict(zip(names, keys, strict=False))},
    )

    def call(event, minutes=0):
        process.stdin.write(json.dumps([event, minutes]) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line.removeprefix("ANSWER "))
        raise AssertionError("the handler's process has ended")

    try:
        yield call
    finally:
        process.stdin.close()
        process.stdout.close()
        if process.wait(30) not in (0, 1):
            raise AssertionError(f"the handler's process ended with {process.returncode}")
