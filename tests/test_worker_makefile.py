"""worker/Makefile where it refuses: no engine, no owner, no buildx."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT


@pytest.fixture
def make(tmp_path):
    """Type make in a copy of worker/ with scripts for engines; return (exit code, stderr)."""
    shutil.copy(ROOT / "worker/Makefile", tmp_path)

    def type_(*words, docker, podman="exit 1"):
        for name, script in (("docker", docker), ("podman", podman)):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        done = subprocess.run(
            ["make", "--no-print-directory", "-C", tmp_path, *words],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stderr

    return type_


@pytest.mark.parametrize("target", ["push", "multi"])
def test_an_image_without_an_owner_is_sent_nowhere(make, target):
    code, err = make(target, docker="exit 0")
    assert code == 2
    assert re.match("Error: .+ user is still yourname.\nFix: .+DOCKERHUB_TAG of config.py.\n", err)


def test_without_an_engine_that_works_nothing_is_built(make):
    code, err = make("build", docker="exit 1")
    assert code == 2
    assert re.match("Error: neither docker nor podman works .+\nFix: .+`docker info`.+\n", err)


@pytest.mark.parametrize(
    "engines",
    [{"docker": "test $1 = info"}, {"docker": "exit 1", "podman": "exit 0"}],
    ids=["docker", "podman"],
)
def test_without_buildx_make_multi_says_what_to_install(make, engines):
    code, err = make("multi", "user=me", **engines)
    assert code == 2
    assert re.match("Error: .+ has no buildx.+\nFix: install docker's buildx plugin.+\n", err)
