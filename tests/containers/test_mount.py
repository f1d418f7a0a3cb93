"""DOWNLOAD_FILES = False: the bucket as a folder in the container, or no job at all."""

from __future__ import annotations

import dataclasses
import json

import pytest

from control.aws import ecs
from tests.containers.conftest import until
from tests.control.aws.test_task_definitions import CONFIG
from tests.instance_metadata import INSTANCE, ROLE, TYPE

# What the task definition of a run that mounts asks ECS for, and nothing else.
_ASKED = ecs.container_definition(dataclasses.replace(CONFIG, DOWNLOAD_FILES=False), {})[
    "linuxParameters"
]
MAY_MOUNT = (
    *(f"--device={each['hostPath']}:{each['containerPath']}" for each in _ASKED["devices"]),
    *(f"--cap-add={each}" for each in _ASKED["capabilities"]["add"]),
)
READ = '(job.output_dir / "copy.txt").write_text((BUCKET / job["file"]).read_text())'
READ_AND_WAIT = f"{READ}\ntime.sleep(300)"


@pytest.fixture
def prepared(site):
    """A file in the bucket, below a prefix that has no object of its own, and a job for it."""
    site.s3.put_object(Bucket=site.bucket, Key="inputs/deep/a b.txt", Body=b"through the mount")
    site.send({"file": "inputs/deep/a b.txt", "name": "one"})
    return site


def test_a_job_reads_through_the_mount_with_the_role_of_the_machine(machine, prepared, start):
    container = start(
        *machine.options, *MAY_MOUNT, run_job=READ, keys=False, DOWNLOAD_FILES="False"
    )

    until(lambda: prepared.states("records"), 90)

    assert prepared.states("records") == ["done.json"]
    assert prepared.read("out/one/copy.txt") == b"through the mount"
    # Neither the mount nor the worker has asked without a token.
    role = f"GET /latest/meta-data/iam/security-credentials/{ROLE} 200"
    assert machine.asked.count(role) >= 2
    assert not [asked for asked in machine.asked if asked.endswith("401")]
    record = prepared.record("done")
    assert (record["machine"], record["machine_type"]) == (INSTANCE, TYPE)
    assert f"mounted {prepared.bucket}" in container.output()
    form = "{{.HostConfig.Privileged}}"
    assert container.engine.run("inspect", "-f", form, container.name).stdout == "false\n"


def test_in_a_task_of_ecs_it_is_the_task_role(machine, prepared, start):
    machine.role = ""
    start(
        *machine.options,
        *MAY_MOUNT,
        run_job=READ,
        keys=False,
        DOWNLOAD_FILES="False",
        AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="/credentials",
    )

    until(lambda: prepared.states("records"), 90)

    assert prepared.read("out/one/copy.txt") == b"through the mount"
    assert machine.asked.count("GET /credentials 200") >= 2


def test_jobs_have_neither_the_rights_of_root_nor_the_right_to_mount(prepared, start):
    status = '(job.output_dir / "status").write_text(Path("/proc/self/status").read_text())'
    start(*MAY_MOUNT, run_job=f"{READ}\n{status}", DOWNLOAD_FILES="False")

    until(lambda: prepared.states("records"), 90)

    told = prepared.read("out/one/status").decode()
    fields = dict(line.split(":\t", 1) for line in told.splitlines())
    assert fields["Uid"].split() == ["1000"] * 4
    assert int(fields["CapEff"], 16) == 0


def test_a_job_cannot_write_into_the_mount(prepared, start):
    write = '(BUCKET / "inputs/new.txt").write_text("x")'
    start(*MAY_MOUNT, run_job=write, DOWNLOAD_FILES="False", JOB_RETRIES="1")

    until(lambda: prepared.states("records"), 90)

    assert "Read-only file system" in prepared.record("failed")["reason"]
    assert prepared.names("inputs/") == ["inputs/deep/a b.txt"]


def test_with_a_hop_limit_of_1_no_job_is_taken_and_the_limit_is_named(machine, prepared, start):
    machine.hops = 1
    container = start(
        *machine.options, *MAY_MOUNT, run_job=READ, keys=False, DOWNLOAD_FILES="False"
    )

    assert container.wait() == 1

    (line,) = [line for line in container.output().splitlines() if line.startswith("Error: ")]
    assert "so the container accepts no jobs" in line and "HttpPutResponseHopLimit" in line
    assert prepared.names("runs/") == [] and prepared.waiting() == (1, 0)


@pytest.mark.parametrize(
    ("options", "settings", "why"),
    [
        ((), {}, "has no /dev/fuse"),
        (("--device", "/dev/fuse"), {}, "--cap-add SYS_ADMIN"),
        (MAY_MOUNT, {"SOURCE_BUCKET": "no-such-bucket"}, "NoSuchBucket"),
        ((*MAY_MOUNT, "--user", "1000"), {}, "only root may mount"),
        (MAY_MOUNT, {"AWS_ACCESS_KEY_ID": ""}, "there are no credentials"),
    ],
    ids=["no-device", "no-capability", "no-bucket", "not-root", "no-credentials"],
)
def test_without_a_mount_no_job_is_taken_and_the_reason_is_logged(
    prepared, start, options, settings, why
):
    container = start(*options, run_job=READ, DOWNLOAD_FILES="False", **settings)

    assert container.wait() == 1

    (line,) = [line for line in container.output().splitlines() if line.startswith("Error: ")]
    assert "so the container accepts no jobs" in line and why in line
    assert prepared.names("runs/") == [] and prepared.waiting() == (1, 0)


def test_a_mount_that_drops_gives_the_job_back_and_ends_the_container(prepared, start):
    container = start(*MAY_MOUNT, run_job=READ_AND_WAIT, DOWNLOAD_FILES="False")
    until(lambda: prepared.waiting() == (0, 1))
    container.says("attempt 1")

    container.shell("kill -9 $(grep -l ^s3fs /proc/[0-9]*/comm | cut -d/ -f3)")

    assert container.wait() == 1
    assert "is no longer mounted: its program was ended by SIGKILL" in container.output()
    assert prepared.waiting() == (1, 0)
    assert prepared.states("attempts") == ["1.1.interrupted.json"]


def test_where_no_container_may_mount_nothing_is_written_to_its_own_disk(prepared, start):
    container = start("--device", "/dev/fuse", run_job=READ, DOWNLOAD_FILES="False")
    container.wait()

    changed = container.engine.run("diff", "--format", "json", container.name).stdout
    paths = [path for kind in json.loads(changed).values() for path in kind]
    assert not [path for path in paths if path.startswith("/home/ubuntu/bucket")]
