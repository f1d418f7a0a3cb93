"""The server process: one HTTP endpoint on loopback for all of AWS, and the tasks it runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from cheroot.wsgi import Server

from embedded_aws import credentials
from embedded_aws.agent import CREDENTIALS, PREFIX
from embedded_aws.application import Application
from embedded_aws.client import Gateway
from embedded_aws.engine import Engine
from embedded_aws.environment import client_environment, task_environment
from embedded_aws.model import Timings
from embedded_aws.model.things import Task
from embedded_aws.prices import MachineTypes
from embedded_aws.runner import Runner

HOST = "127.0.0.1"
THREADS = 32
SPARE_THREADS = 8  # kept free beside those that hold a long poll
MOST_THREADS = 2000
SECONDS_BETWEEN_LOOKS = 0.2
KEEP_ALIVE_SECONDS = 120
MOST_IDLE_CONNECTIONS = 4096


class Service:
    """Everything that runs: `endpoint` and `environment` are what clients need."""

    def __init__(self, port: int, runner: Runner, state_folder: Path, timings: Timings) -> None:
        """Listen. Raises OSError if the port is taken."""
        self._engine = Engine(
            runner,
            state_folder,
            timings,
            MachineTypes(),
            self._task_environment,
        )
        self._http = Server(
            (HOST, port),
            Application(self._engine),
            numthreads=THREADS,
            max=MOST_THREADS,
            request_queue_size=1024,
            timeout=KEEP_ALIVE_SECONDS,
        )
        self._http.gateway = Gateway
        self._http.keep_alive_conn_limit = MOST_IDLE_CONNECTIONS
        self._http.prepare()
        self.endpoint = f"http://{HOST}:{self._http.bind_addr[1]}"
        self.environment = client_environment(self.endpoint, state_folder)
        self._stop = threading.Event()

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`; calls `ready` once it does."""
        self._engine.start()
        threading.Thread(target=self._http.serve, name="http", daemon=True).start()
        ready()
        while not self._stop.wait(SECONDS_BETWEEN_LOOKS):
            self._keep_threads_spare()

    def stop(self) -> None:
        """Make `run` return. May be called from a signal handler."""
        self._stop.set()

    def close(self, grace: float) -> None:
        """End all tasks while AWS still answers them, then stop listening."""
        self._engine.close(grace)

    def _keep_threads_spare(self) -> None:
        """A long poll holds a thread for up to 20 s: others must not wait behind it."""
        pool = self._http.requests
        lacking = SPARE_THREADS - pool.idle
        if lacking > 0:
            pool.grow(max(lacking, THREADS))

    def _task_environment(self, region: str, task: Task) -> Mapping[str, str]:
        agent = f"{self.endpoint}{PREFIX}{task.id}"
        has_role = credentials.has_role(task.definition, task.arn.split(":")[4])
        given = f"{agent}/{CREDENTIALS}" if has_role else ""
        return task_environment(self.environment, agent, region, task.definition, given)


def end_with(service: Service) -> None:
    """Stop the service at SIGTERM, SIGINT, or when the other side of standard input is gone."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        service.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)

    def watch_input() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            continue
        service.stop()

    threading.Thread(target=watch_input, name="stdin", daemon=True).start()
