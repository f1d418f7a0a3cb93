from __future__ import annotations

import json
import socket

from plumbing.instance_metadata import Metadata


def test_the_machine_is_known_by_its_metadata(metadata_service):
    identity = Metadata(metadata_service.environ).identity()

    assert (identity.id, identity.type) == ("i-1", "m5.large")


def test_an_interruption_notice_is_read_when_it_comes(metadata_service):
    metadata = Metadata(metadata_service.environ)
    assert metadata.interruption() == ""

    notice = {"action": "terminate", "time": "2026-11-22T02:00:00Z"}
    metadata_service.paths["spot/instance-action"] = json.dumps(notice)

    assert metadata.interruption() == "spot interruption: terminate at 2026-11-22T02:00:00Z"


def test_a_notice_that_is_no_json_counts_all_the_same(metadata_service):
    metadata_service.paths["spot/instance-action"] = "terminate"

    assert Metadata(metadata_service.environ).interruption() == "spot interruption: terminate"


def test_a_token_that_is_no_longer_good_is_renewed(metadata_service):
    metadata = Metadata(metadata_service.environ)
    metadata_service.tokens += 1
    assert metadata.interruption() == ""
    metadata_service.paths["spot/instance-action"] = "x"

    assert metadata.interruption() == "spot interruption: x"


def test_outside_ec2_it_is_the_host_and_nothing_more_is_asked():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metadata = Metadata({"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}"})

    assert not metadata.there
    assert metadata.identity().id == socket.gethostname()
    assert metadata.interruption() == ""


def test_where_metadata_is_switched_off_it_is_not_asked(metadata_service):
    metadata = Metadata({**metadata_service.environ, "AWS_EC2_METADATA_DISABLED": "true"})

    assert not metadata.there and metadata_service.tokens == 0
