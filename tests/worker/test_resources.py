from __future__ import annotations

import os

import pytest

from plumbing import resources

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
    """What is found once is not looked for again."""
    resources._find.cache_clear()
    yield
    resources._find.cache_clear()


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """Puts files of a memory cgroup where they are looked for."""

    def make(files, folder):
        monkeypatch.setattr(resources, "CGROUPS", tmp_path)
        base = tmp_path / folder
        base.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (base / name).write_text(text)

    return make


@pytest.fixture(params=["v2", "v1"])
def container(request, cgroup, monkeypatch):
    if request.param == "v2":
        cgroup(V2, "")
        monkeypatch.setattr(resources, "_cgroups", lambda: [(resources.CGROUPS, "not/here")])
    else:
        cgroup(V1, "memory")
        monkeypatch.setattr(
            resources, "_cgroups", lambda: [(resources.CGROUPS / "memory", "docker/1234")]
        )


def test_kills_for_want_of_memory_are_counted(container):
    assert resources.oom_kills() == 2


def test_a_kill_is_seen_in_the_same_file_again(cgroup, monkeypatch):
    cgroup(V2, "")
    monkeypatch.setattr(resources, "_cgroups", lambda: [(resources.CGROUPS, "")])
    before = resources.oom_kills()
    cgroup({"memory.events": "oom_kill 3\n"}, "")

    assert (before, resources.oom_kills()) == (2, 3)


def test_the_limit_of_the_container_holds(container):
    assert resources.memory_limit() == 2_000_000_000
    assert resources.total_memory() == 2_000_000_000


def test_page_cache_that_can_be_given_up_is_free(container):
    assert resources.free_memory() <= 900_000_000


def test_no_limit_is_no_limit(cgroup, monkeypatch):
    cgroup({"memory.limit_in_bytes": "9223372036854771712\n"}, "memory")
    monkeypatch.setattr(resources, "_cgroups", lambda: [(resources.CGROUPS / "memory", "")])

    assert resources.memory_limit() is None
    assert resources.oom_kills() is None


def test_this_machine_answers_sensibly():
    assert 0 < resources.free_memory() <= resources.total_memory()
    assert resources.busy_cpu() > 0


def test_the_disk_that_files_use_is_summed_over_folders(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 100_000)
    os.symlink("/", tmp_path / "root")

    assert 100_000 <= resources.used_disk(tmp_path) < 200_000
    assert resources.used_disk(tmp_path / "none") == 0
