"""The one WSGI application: moto with our parts in it, and the ECS agent's endpoint."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from embedded_aws import authorization, ec2, ecs, s3, s3_listing, sqs
from embedded_aws.agent import PREFIX, Agent
from embedded_aws.engine import Engine

StartResponse = Callable[..., Any]


class Dispatcher(DomainDispatcherApplication):
    """moto's, which for each request would read its own source folder from disk."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._backends: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """The service of a host name, kept from the first time on."""
        if host not in self._backends:
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]


class Application:
    """Answers everything; what goes wrong inside becomes an error in AWS's form."""

    def __init__(self, engine: Engine) -> None:
        sqs.install()
        s3_listing.install()
        s3.install()
        ec2.install(engine)
        ecs.install(engine)
        authorization.install(engine)
        self._agent = Agent(engine)
        self._moto = Dispatcher()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"].startswith(PREFIX):
            return self._agent(environ, start_response)
        try:
            answer: Iterable[bytes] = self._moto(environ, start_response)
            return answer
        except NotImplementedError as missing:
            text = f"The AWS on this computer does not know this request: {missing}"
            return _error(environ, start_response, "501 Not Implemented", "NotImplemented", text)
        except Exception as bug:  # whatever it is, the client gets an answer and we get the trace
            traceback.print_exc(file=sys.stderr)
            text = f"{type(bug).__name__}: {bug}"
            return _error(
                environ, start_response, "500 Internal Server Error", "InternalFailure", text
            )


def _error(
    environ: dict[str, Any], start_response: StartResponse, status: str, code: str, text: str
) -> list[bytes]:
    """In the form of the request's protocol: JSON, or XML for EC2, query and S3 clients."""
    if environ.get("HTTP_X_AMZ_TARGET"):
        kind = "application/x-amz-json-1.1"
        body = json.dumps({"__type": code, "message": text})
    else:
        kind = "text/xml"
        one = f"<Error><Code>{code}</Code><Message>{escape(text)}</Message></Error>"
        is_form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
        body = f"<Response><Errors>{one}</Errors></Response>" if is_form else one
    start_response(
        status,
        [("Content-Type", kind), ("Content-Length", str(len(body.encode())))],
        sys.exc_info(),
    )
    return [body.encode()]
