from __future__ import annotations

import http.server
import json
import socket
import threading

import pytest

from plumbing.metadata import Metadata


@pytest.fixture
def service():
    """An instance metadata service: what lies at which path, tokens asked for (IMDSv2 only)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            self.server.tokens += 1
            self._answer(200, f"token-{self.server.tokens}")

        def do_GET(self):
            token = self.headers.get("X-aws-ec2-metadata-token")
            if token != f"token-{self.server.tokens}":
                self._answer(401, "")
                return
            text = self.server.paths.get(self.path.split("/latest/meta-data/")[1])
            self._answer(404 if text is None else 200, text or "")

        def _answer(self, status, text):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.tokens = 0
    server.paths = {"instance-id": "i-1", "instance-type": "m5.large"}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.environ = {
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{server.server_port}/"
    }
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_machine_is_known_by_its_metadata(service):
    identity = Metadata(service.environ).identity()

    assert (identity.id, identity.type) == ("i-1", "m5.large")


def test_an_interruption_notice_is_read_when_it_comes(service):
    metadata = Metadata(service.environ)
    assert metadata.interruption() == ""

    notice = {"action": "terminate", "time": "2026-11-22T02:00:00Z"}
    service.paths["spot/instance-action"] = json.dumps(notice)

    assert metadata.interruption() == "spot interruption: terminate at 2026-11-22T02:00:00Z"


def test_a_notice_that_is_no_json_counts_all_the_same(service):
    service.paths["spot/instance-action"] = "terminate"

    assert Metadata(service.environ).interruption() == "spot interruption: terminate"


def test_a_token_that_is_no_longer_good_is_renewed(service):
    metadata = Metadata(service.environ)
    service.tokens += 1
    assert metadata.interruption() == ""
    service.paths["spot/instance-action"] = "x"

    assert metadata.interruption() == "spot interruption: x"


def test_outside_ec2_it_is_the_host_and_nothing_more_is_asked():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metadata = Metadata({"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}"})

    assert not metadata.there
    assert metadata.identity().id == socket.gethostname()
    assert metadata.interruption() == ""


def test_where_metadata_is_switched_off_it_is_not_asked(service):
    metadata = Metadata({**service.environ, "AWS_EC2_METADATA_DISABLED": "true"})

    assert not metadata.there and service.tokens == 0
