"""Disks that are full: found there, filled by a job, or filled while its outputs are sent."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.proxy import Hold
from tests.faults.site import BUSY_SECONDS, Container, Site, until
from tests.faults.together import together

MB = 1_000_000
DISK = 24 * MB
FILL = ["sh", "-c", "head -c 40000000 /dev/zero > filled"]
# As scripts and programs do that do not look at what a write comes to.
UNNOTICED = ["sh", "-c", "head -c 40000000 /dev/zero > filled; exit 0"]
GROUPS: dict[str, dict[str, Any]] = {
    "download": {"inputs": ["in/huge.bin"]},
    "run": {"program": FILL},
    "unnoticed": {"program": UNNOTICED, "files": {"a.txt": 10}},
}


@contextlib.contextmanager
def _small_disk(site: Site) -> Iterator[Path]:
    """A file system of DISK bytes as the folder that jobs work in."""
    site.work_folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(site.work_folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one, which only root has")
    try:
        yield site.work_folder
    finally:
        for container in site.containers:
            if container.process.poll() is None:
                container.kill()
        subprocess.run(["umount", str(site.work_folder)], check=True)


def _left_by_jobs(disk: Path) -> list[Path]:
    """Return the paths below the folders of workers."""
    return list(disk.glob("jobs-*/worker-*/*"))


def _refuses(site: Site, container: Container, reason: str) -> None:
    """The machine reports why it accepts no jobs, and one that waits stays where it is."""
    until(lambda: f"accepts no jobs [disk_full]: {reason}" in container.text, BUSY_SECONDS)
    before = container.proxy.operations().count("ReceiveMessage")
    site.send("not-here")
    assert site.waiting() == (1, 0)
    assert container.proxy.operations().count("ReceiveMessage") == before
    assert container.process.poll() is None


@pytest.mark.parametrize("moment", GROUPS)
@together(40, SQS_MESSAGE_VISIBILITY=20, JOB_RETRIES=1)
def test_jobs_that_fill_the_disk_fail_with_that_reason_and_end_the_machines_work(
    site: Site, moment
):
    with _small_disk(site) as disk:
        site.s3.put_object(Bucket=site.bucket, Key="in/huge.bin", Body=b"x" * 2 * DISK)
        for number in range(3):
            site.send(f"job-{number}", **GROUPS[moment])

        container = site.start()
        until(site.is_settled, BUSY_SECONDS)

        for number in range(3):
            assert site.written("records", f"job-{number}") == ["disk_full.failed.json"]
            record = site.record(f"job-{number}", "disk_full.failed")
            assert "the disk is full" in record["reason"]
            assert "disk is full" in site.log(record)
        assert _left_by_jobs(disk) == []
        assert site.names("out/") == []
        _refuses(site, container, "3 jobs in a row failed for reasons of the machine or its image")


@together(30, SQS_MESSAGE_VISIBILITY=20)
def test_a_disk_that_fills_up_during_the_upload_spoils_no_output(site: Site):
    """The outputs are there already: the job is done. The next one is left to other machines."""
    hold = Hold("before")

    def rule(call):
        return hold if call.operation == "PutObject" and call.path.endswith("/b.txt") else None

    with _small_disk(site) as disk:
        site.send("job", files={"a.txt": 10, "b.txt": 100_000, "large.bin": 9 << 20})
        container = site.start(rule)
        until(hold.held.is_set, BUSY_SECONDS)
        with open(disk / "another-program", "wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), b"x" * 65_536)
        assert os.statvfs(disk).f_bfree == 0
        hold.let_go.set()

        until(site.is_settled, BUSY_SECONDS)
        site.assert_all_done()
        assert _left_by_jobs(disk) == []
        # Its folder is free again: that is filled as well.
        hold.let_go.set()
        with open(disk / "another-program-2", "wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), b"x" * 65_536)
        _refuses(site, container, "the disk is full")
