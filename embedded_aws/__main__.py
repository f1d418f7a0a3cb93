"""python -m embedded_aws: serve AWS on this computer until standard input closes."""

from __future__ import annotations

import argparse
import errno
import functools
import importlib
import json
import os
import sys
from pathlib import Path

import botocore.session

GRACE_SECONDS = 10.0  # for tasks to end by themselves when the server ends


def main() -> None:
    """Parse the arguments and serve; leave nothing running."""
    parser = argparse.ArgumentParser(prog="python -m embedded_aws", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--worker", type=Path, required=True, help="folder of generic-worker.py")
    parser.add_argument("--state", type=Path, required=True, help="folder for tasks and logs")
    parser.add_argument("--python", default=sys.executable, help="Python that runs the workers")
    parser.add_argument("--engine", default="", help="docker or podman: run tasks as containers")
    parser.add_argument("--slow", action="store_true", help="take as long as AWS does")
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds to end tasks")
    parser.add_argument("--plugin", default="", help="module whose install(worlds) is called")
    arguments = parser.parse_args()
    # moto makes many sessions, and each reads botocore's descriptions again, half of the time of a
    # start. One loader for all, as the clients of one session share one.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    # Imported late: moto takes a while.
    from embedded_aws.container_engine import ContainerEngine
    from embedded_aws.container_runner import ContainerRunner
    from embedded_aws.model import AWS_TIMINGS, FAST_TIMINGS
    from embedded_aws.process_runner import ProcessRunner
    from embedded_aws.server import Service, end_with
    from embedded_aws.starter import PORT_TAKEN
    from embedded_aws.task_runner import Runner

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
        raise SystemExit(PORT_TAKEN if error.errno == errno.EADDRINUSE else 1) from None
    if arguments.plugin:
        importlib.import_module(arguments.plugin).install(service.worlds)
    end_with(service)

    def ready() -> None:
        answer = {"endpoint": service.endpoint, "environment": service.environment}
        print(json.dumps(answer), flush=True)

    service.run(ready)
    service.close(arguments.grace)
    sys.stderr.flush()
    # Do not wait for threads that hold a long poll, nor for moto to delete its objects.
    os._exit(0)


if __name__ == "__main__":
    main()
