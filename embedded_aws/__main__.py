"""python -m embedded_aws: serve AWS on this computer until standard input closes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

GRACE_SECONDS = 10.0  # for tasks to end by themselves when the server ends
PORT_TAKEN = 3  # exit code


def main() -> None:
    """Parse the arguments, serve, and leave nothing running."""
    parser = argparse.ArgumentParser(prog="python -m embedded_aws", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--worker", type=Path, required=True, help="holds generic-worker.py")
    parser.add_argument("--state", type=Path, required=True, help="tasks' folders and logs")
    parser.add_argument("--python", default=sys.executable, help="runs the workers")
    parser.add_argument("--engine", default="", help="runs the tasks in containers: their images")
    parser.add_argument("--slow", action="store_true", help="take as long as AWS does")
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds for tasks")
    arguments = parser.parse_args()
    # Imported late: moto takes a while, and reads some settings from the environment.
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    from embedded_aws.container_engine import ContainerEngine
    from embedded_aws.containers import ContainerRunner
    from embedded_aws.model import AWS_TIMINGS, FAST_TIMINGS
    from embedded_aws.processes import ProcessRunner
    from embedded_aws.runner import Runner
    from embedded_aws.server import Service, end_with

    arguments.state.mkdir(parents=True, exist_ok=True)
    timings = AWS_TIMINGS if arguments.slow else FAST_TIMINGS
    state = arguments.state.resolve()
    runner: Runner
    if arguments.engine:
        runner = ContainerRunner(ContainerEngine(arguments.engine), state)
    else:
        runner = ProcessRunner(arguments.worker.resolve(), arguments.python)
    try:
        service = Service(arguments.port, runner, state, timings)
    except OSError as error:
        print(f"port {arguments.port}: {error}", file=sys.stderr)
        raise SystemExit(PORT_TAKEN) from None
    end_with(service)

    def ready() -> None:
        answer = {"endpoint": service.endpoint, "environment": service.environment}
        print(json.dumps(answer), flush=True)

    service.run(ready)
    service.close(arguments.grace)
    sys.stderr.flush()
    # Threads that hold a long poll, and moto's clearing away of objects, need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
