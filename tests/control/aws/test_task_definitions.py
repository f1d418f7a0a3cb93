"""The task definition: what a container is given, and when a new one is registered."""

from __future__ import annotations

import dataclasses

from control.aws import ecs
from tests.conftest import config_of

CONFIG = config_of(APP_NAME="Mine")


def test_a_container_may_do_nothing_special():
    definition = ecs.container_definition(CONFIG, {"A": "x"})
    assert "privileged" not in definition and "linuxParameters" not in definition
    assert definition["stopTimeout"] == 110
    assert definition["environment"] == [{"name": "A", "value": "x"}]
    assert definition["logConfiguration"]["options"]["mode"] == "non-blocking"


def test_a_mount_needs_one_device_and_one_capability():
    definition = ecs.container_definition(dataclasses.replace(CONFIG, DOWNLOAD_FILES=False), {})
    assert definition["linuxParameters"]["capabilities"] == {"add": ["SYS_ADMIN"]}
    (device,) = definition["linuxParameters"]["devices"]
    assert device["hostPath"] == "/dev/fuse"
    assert "privileged" not in definition


def test_gpus_are_requested():
    definition = ecs.container_definition(dataclasses.replace(CONFIG, GPUS_PER_TASK=2), {})
    assert definition["resourceRequirements"] == [{"type": "GPU", "value": "2"}]


def test_containers_only_go_to_machines_of_their_app(set_up):
    aws, _, run = set_up()
    (service,) = aws.ecs.describe_services(cluster=run.cluster, services=[run.service])["services"]
    (constraint,) = service["placementConstraints"]
    assert constraint["expression"] == f"attribute:distributed-something.app == {run.app_name}"
    assert service["placementStrategy"] == [{"type": "binpack", "field": "memory"}]
    assert service["deploymentConfiguration"]["minimumHealthyPercent"] == 0
