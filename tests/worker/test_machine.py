from __future__ import annotations

import os
import shutil
from collections import namedtuple

import pytest

from plumbing import machine

Disk = namedtuple("Disk", "total used free")
Statvfs = namedtuple("Statvfs", "f_frsize f_blocks f_bfree f_bavail")
GB = 10**9


@pytest.mark.parametrize(
    ("disk", "memory", "cause"),
    [
        (Disk(30 * GB, 0, 20 * GB), 4 * GB, None),
        (Disk(30 * GB, 0, GB // 2), 4 * GB, "disk_full"),
        (Disk(GB, 0, GB // 10), 4 * GB, None),
        (Disk(GB, 0, GB // 100), 4 * GB, "disk_full"),
        (Disk(30 * GB, 0, 20 * GB), GB // 100, "out_of_memory"),
    ],
)
def test_a_machine_without_disk_or_memory_accepts_no_jobs(
    monkeypatch, tmp_path, disk, memory, cause
):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: disk)
    monkeypatch.setattr(machine, "free_memory", lambda: memory)

    trouble = machine.unfit(tmp_path, needs_mount=False)

    assert (trouble and trouble.cause) == cause


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


def test_a_bucket_that_is_not_mounted_is_reported(tmp_path):
    assert machine.unfit(tmp_path, needs_mount=True, mount=tmp_path).cause == "not_mounted"
    assert machine.unfit(tmp_path, needs_mount=False, mount=tmp_path) is None


def test_the_load_is_one_line_of_cpu_memory_and_disk(tmp_path, monkeypatch):
    times = iter([0.0, 60.0])
    busy = iter([100.0, 130.0])
    monkeypatch.setattr(machine, "busy_cpu", lambda: next(busy))
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)

    line = machine.Load(tmp_path, lambda: next(times)).line()

    assert "CPU 25%" in line and "memory" in line and "disk" in line


def test_an_identity_reads_well():
    assert str(machine.Identity("i-1", "m5.large")) == "i-1 (m5.large)"
    assert str(machine.Identity("host")) == "host"


V2 = {
    "memory.events": "low 0\noom 2\noom_kill 2\n",
    "memory.max": "2000000000\n",
    "memory.current": "1500000000\n",
    "memory.stat": "anon 1\ninactive_file 400000000\n",
}
V1 = {
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory.limit_in_bytes": "2000000000\n",
    "memory.usage_in_bytes": "1500000000\n",
    "memory.stat": "cache 1\ntotal_inactive_file 400000000\n",
}


@pytest.fixture(autouse=True)
def nothing_found_yet():
    """Forget the cgroup that another test found."""
    machine._find.cache_clear()
    yield
    machine._find.cache_clear()


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """Write the files of a memory cgroup where the worker searches for them."""

    def make(files, folder):
        monkeypatch.setattr(machine, "CGROUPS", tmp_path)
        base = tmp_path / folder
        base.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (base / name).write_text(text)

    return make


@pytest.fixture(params=["v2", "v1"])
def container(request, cgroup, monkeypatch):
    if request.param == "v2":
        cgroup(V2, "")
        monkeypatch.setattr(machine, "_cgroups", lambda: [(machine.CGROUPS, "not/here")])
    else:
        cgroup(V1, "memory")
        monkeypatch.setattr(
            machine, "_cgroups", lambda: [(machine.CGROUPS / "memory", "docker/1234")]
        )


def test_kills_for_want_of_memory_are_counted(container):
    assert machine.oom_kills() == 2


def test_a_kill_is_seen_in_the_same_file_again(cgroup, monkeypatch):
    cgroup(V2, "")
    monkeypatch.setattr(machine, "_cgroups", lambda: [(machine.CGROUPS, "")])
    before = machine.oom_kills()
    cgroup({"memory.events": "oom_kill 3\n"}, "")

    assert (before, machine.oom_kills()) == (2, 3)


def test_the_limit_of_the_container_holds(container):
    assert machine.memory_limit() == 2_000_000_000
    assert machine.total_memory() == 2_000_000_000


def test_page_cache_that_can_be_reclaimed_is_free(container):
    assert machine.free_memory() <= 900_000_000


def test_no_limit_is_no_limit(cgroup, monkeypatch):
    cgroup({"memory.limit_in_bytes": "9223372036854771712\n"}, "memory")
    monkeypatch.setattr(machine, "_cgroups", lambda: [(machine.CGROUPS / "memory", "")])

    assert machine.memory_limit() is None
    assert machine.oom_kills() is None


def test_this_machine_answers_sensibly():
    assert 0 < machine.free_memory() <= machine.total_memory()
    assert machine.busy_cpu() > 0


def test_the_disk_that_files_use_is_summed_over_folders(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 100_000)
    os.symlink("/", tmp_path / "root")

    assert 100_000 <= machine.used_disk(tmp_path) < 200_000
    assert machine.used_disk(tmp_path / "none") == 0
