"""The server: one HTTP endpoint on loopback for all of AWS, and the tasks that it runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any
from xml.sax.saxutils import escape

from cheroot.wsgi import Server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from embedded_aws import ec2, ecs, s3, sqs
from embedded_aws.agent import PREFIX, Agent, task_environment
from embedded_aws.client_gone import Gateway
from embedded_aws.machine_types import MachineTypes
from embedded_aws.model import Timings
from embedded_aws.model.things import Task
from embedded_aws.task_runner import Runner
from embedded_aws.worlds import Worlds

HOST = "127.0.0.1"
ACCESS_KEY = SECRET_KEY = "embedded"
REGION = "us-east-1"
THREADS = 32
SPARE_THREADS = 8  # kept free in addition to those that hold a long poll
MOST_THREADS = 2000
SECONDS_BETWEEN_CHECKS = 0.2
KEEP_ALIVE_SECONDS = 120
MOST_IDLE_CONNECTIONS = 4096

StartResponse = Callable[..., Any]


class Service:
    """The running parts; clients need its `endpoint` and `environment`."""

    def __init__(self, port: int, runner: Runner, state_folder: Path, timings: Timings) -> None:
        """Listen on a port. Raise OSError if that is impossible."""
        # cheroot's own error has no errno.
        socket.create_server((HOST, port)).close()
        self.worlds = Worlds(runner, state_folder, timings, MachineTypes(), self._task_environment)
        self._http = Server(
            (HOST, port),
            Application(self.worlds),
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
        """Serve until `stop` is called; call `ready` once the endpoint answers."""
        self.worlds.start()
        threading.Thread(target=self._http.serve, name="http", daemon=True).start()
        ready()
        while not self._stop.wait(SECONDS_BETWEEN_CHECKS):
            self._keep_threads_spare()

    def stop(self) -> None:
        """Make `run` return. Safe to call from a signal handler."""
        self._stop.set()

    def close(self, grace: float) -> None:
        """End all tasks while the endpoint still answers them; allow `grace` seconds."""
        self.worlds.close(grace)

    def _keep_threads_spare(self) -> None:
        """Add threads: a long poll holds one for up to 20 s, and others must not wait."""
        pool = self._http.requests
        lacking = SPARE_THREADS - pool.idle
        if lacking > 0:
            pool.grow(max(lacking, THREADS))

    def _task_environment(self, region: str, task: Task) -> Mapping[str, str]:
        return task_environment(self.environment, self.endpoint, region, task)


def end_with(service: Service) -> None:
    """Stop the service at SIGTERM, SIGINT, or the end of standard input."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        service.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)

    def watch_input() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            continue
        service.stop()

    threading.Thread(target=watch_input, name="stdin", daemon=True).start()


def client_environment(endpoint: str, state_folder: Path) -> dict[str, str]:
    """Return the variables that make boto3 and the AWS CLI use this endpoint and nothing else.

    The caller must remove other AWS_... variables: AWS_PROFILE, even if empty, makes boto3 look for
    a profile of that name.
    """
    nowhere = str(state_folder / "no-such-file")
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


class Dispatcher(DomainDispatcherApplication):
    """moto's dispatcher, which otherwise reads its own source folder for each request."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._backends: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """Return the service of a host name, looked up once."""
        if host not in self._backends:
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]


class Application:
    """The WSGI application: moto with our parts in it, and the ECS agent's endpoint."""

    def __init__(self, worlds: Worlds) -> None:
        sqs.install()
        s3.install()
        ec2.install(worlds)
        ecs.install(worlds)
        self._agent = Agent(worlds)
        self._moto = Dispatcher()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; an internal error becomes an error in AWS's form."""
        if environ["PATH_INFO"].startswith(PREFIX):
            return self._agent(environ, start_response)
        try:
            answer: Iterable[bytes] = self._moto(environ, start_response)
            return answer
        except NotImplementedError as missing:
            text = f"The AWS on this computer does not support this request: {missing}"
            return _error(environ, start_response, "501 Not Implemented", "NotImplemented", text)
        except Exception as bug:  # the client always gets an answer, the log the traceback
            traceback.print_exc(file=sys.stderr)
            text = f"{type(bug).__name__}: {bug}"
            status = "500 Internal Server Error"
            return _error(environ, start_response, status, "InternalFailure", text)


def _error(
    environ: dict[str, Any], start_response: StartResponse, status: str, code: str, text: str
) -> list[bytes]:
    """Answer in the request's protocol: JSON, or XML for EC2, query and S3 clients."""
    if environ.get("HTTP_X_AMZ_TARGET"):
        kind = "application/x-amz-json-1.1"
        body = json.dumps({"__type": code, "message": text})
    else:
        kind = "text/xml"
        one = f"<Error><Code>{code}</Code><Message>{escape(text)}</Message></Error>"
        is_form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
        body = f"<Response><Errors>{one}</Errors></Response>" if is_form else one
    headers = [("Content-Type", kind), ("Content-Length", str(len(body.encode())))]
    start_response(status, headers, sys.exc_info())
    return [body.encode()]
