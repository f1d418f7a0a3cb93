"""Facts that a container reads from instance metadata, version 2 only."""

from __future__ import annotations

from tests.containers.conftest import until
from tests.instance_metadata import INSTANCE, TYPE

# Connections that were begun in the container's network less those that were taken there.
IN_VAIN = """
lines = Path("/proc/net/snmp").read_text().splitlines()
names, values = [line.split() for line in lines if line.startswith("Tcp:")]
tcp = dict(zip(names[1:], map(int, values[1:])))
(job.output_dir / "in_vain").write_text(str(tcp["ActiveOpens"] - tcp["PassiveOpens"]))
"""


def test_an_interruption_notice_gives_the_job_back(machine, site, start):
    site.send({"name": "one"})
    container = start(*machine.options, run_job="time.sleep(300)", keys=False)
    container.says("attempt 1")

    machine.paths["spot/instance-action"] = (
        '{"action": "terminate", "time": "2026-01-01T00:02:00Z"}'
    )

    until(lambda: site.waiting() == (1, 0))
    assert "spot interruption: terminate at 2026-01-01T00:02:00Z" in container.output()
    record = site.record("interrupted", "attempts")
    assert (record["machine"], record["machine_type"]) == (INSTANCE, TYPE)
    assert not [asked for asked in machine.asked if asked.endswith("401")]


def test_a_hop_limit_of_1_is_reported(machine, site, start):
    machine.hops = 1
    container = start(*machine.options, AWS_EC2_METADATA_DISABLED="false")

    output = container.says("workers of App")

    assert "HttpPutResponseHopLimit" in output


def test_missing_metadata_are_reported_and_work_begins(machine, site, start):
    site.send({"name": "one"})
    nobody = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9/"}
    container = start(
        *machine.options,
        run_job='(job.output_dir / "x").write_text("x")',
        AWS_EC2_METADATA_DISABLED="false",
        **nobody,
    )

    until(lambda: site.states("records"))

    assert "no instance metadata answers" in container.output()
    assert site.record("done")["machine_type"] == ""


def test_outside_ec2_the_address_is_asked_once_and_work_begins(elsewhere, site, start):
    site.send({"name": "one"})
    start(*elsewhere.options, run_job=IN_VAIN, AWS_EC2_METADATA_DISABLED="false")

    until(lambda: site.states("records"))

    assert site.read("out/one/in_vain") == b"1"
