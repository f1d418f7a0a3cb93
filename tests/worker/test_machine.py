from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from plumbing import machine, resources

Disk = namedtuple("Disk", "total used free")
Statvfs = namedtuple("Statvfs", "f_frsize f_blocks f_bfree f_bavail")
GB = 10**9


@pytest.mark.parametrize(
    ("disk", "memory", "word"),
    [
        (Disk(30 * GB, 0, 20 * GB), 4 * GB, ""),
        (Disk(30 * GB, 0, GB // 2), 4 * GB, "disk"),
        (Disk(GB, 0, GB // 10), 4 * GB, ""),
        (Disk(GB, 0, GB // 100), 4 * GB, "disk"),
        (Disk(30 * GB, 0, 20 * GB), GB // 100, "memory"),
    ],
)
def test_a_machine_without_disk_or_memory_takes_no_job(monkeypatch, tmp_path, disk, memory, word):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk)
    monkeypatch.setattr(resources, "free_memory", lambda: memory)

    trouble = machine.unfit(tmp_path, needs_mount=False)

    assert word in trouble and bool(trouble) == bool(word)


@pytest.mark.parametrize(
    ("blocks", "free", "available", "user", "full"),
    [
        (1000, 0, 0, 0, True),
        (1000, 500, 0, 0, False),  # what only root may use
        (1000, 500, 0, 1000, True),
        (1000, 244, 244, 1000, True),
        (1000, 245, 245, 1000, False),
        (0, 0, 0, 0, False),  # it does not say
    ],
)
def test_a_disk_without_room_for_what_was_just_written_is_full(
    monkeypatch, tmp_path, blocks, free, available, user, full
):
    answer = Statvfs(f_frsize=4096, f_blocks=blocks, f_bfree=free, f_bavail=available)
    monkeypatch.setattr(machine.os, "statvfs", lambda folder: answer)
    monkeypatch.setattr(machine.os, "geteuid", lambda: user)

    assert machine.is_full(tmp_path) is full


def test_a_bucket_that_is_not_mounted_is_said(tmp_path):
    assert "not mounted" in machine.unfit(tmp_path, needs_mount=True, mount=tmp_path)
    assert machine.unfit(tmp_path, needs_mount=False, mount=tmp_path) == ""


def test_the_load_is_one_line_of_cpu_memory_and_disk(tmp_path, monkeypatch):
    times = iter([0.0, 60.0])
    busy = iter([100.0, 130.0])
    monkeypatch.setattr(resources, "busy_cpu", lambda: next(busy))
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)

    line = machine.Load(tmp_path, lambda: next(times)).line()

    assert "CPU 25%" in line and "memory" in line and "disk" in line


def test_an_identity_reads_well():
    assert str(machine.Identity("i-1", "m5.large")) == "i-1 (m5.large)"
    assert str(machine.Identity("host")) == "host"
