"""worker/Makefile, typed as an implementer types it in worker/."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.containers import registry
from tests.containers.conftest import ROOT

FOLDERS = ("control", "documentation", "embedded_aws", "files", "worker")
LIMIT = 600


@pytest.fixture
def checkout(base_image, tmp_path):
    """A copy of the repository, whose FROM names an image that is at hand."""
    folder = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "_build")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("run.py", "config.py"):
        shutil.copy(ROOT / name, folder)
    dockerfile = folder / "worker/Dockerfile"
    base = f"FROM {base_image('bookworm')}"
    text = re.sub(r"^FROM \S+", base, dockerfile.read_text(), count=1, flags=re.MULTILINE)
    dockerfile.write_text(text)
    return folder


@pytest.fixture
def make(engine, checkout):
    """Type make with these words: (exit code, standard output, standard error)."""

    def run(*words, **environ):
        done = subprocess.run(
            ["make", "--no-print-directory", "-C", checkout / "worker", *words],
            env={**os.environ, **engine.environ, **environ},
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_make_try_builds_the_image_and_does_one_job_in_it(make, checkout, image_name):
    image, python = f"image={image_name('tried')}", f"python={sys.executable}"

    code, out, err = make("try", image, python)

    assert code == 0, out + err
    assert "1 job done" in out
    (counted,) = (checkout / "local_output").rglob("word_count.csv")
    assert counted.read_text().startswith("document,lines,words,bytes\n")


def test_make_push_sends_the_image_to_the_registry_that_its_name_says(
    engine, make, checkout, tmp_path
):
    (checkout / "worker/Dockerfile").write_text("FROM scratch\nCOPY generic-worker.py /\n")
    with registry.running() as (host, received):
        # Docker trusts a registry on loopback; podman needs a setting for it.
        conf = tmp_path / "registries.conf"
        conf.write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
        words = ("push", f"user={host}/me", "project=mine", "tag=1.2.3")
        code, out, err = make(*words, CONTAINERS_REGISTRIES_CONF=str(conf))
    engine.run("rmi", f"{host}/me/mine:1.2.3", check=False)

    assert code == 0, out + err
    assert "/v2/me/mine/manifests/1.2.3" in received
