"""The examples in their own images: each Dockerfile, on Debian's own image, and the jobs in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.trials import fiji, hello_world, ome_zarr, tools, variant_calling
from tests.trials.trial import CHECKOUT

TRIALS = {
    module.TRIAL.name: module.TRIAL for module in (hello_world, fiji, ome_zarr, variant_calling)
}
LIMIT = 900


@pytest.fixture
def context(tmp_path):
    """Puts the template's worker and an example's together, as for its image."""

    def assemble(trial):
        folder = tmp_path / "worker"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / "worker", folder, ignore=ignored)
        shutil.copytree(trial.project / "worker", folder, ignore=ignored, dirs_exist_ok=True)
        return folder

    return assemble


@pytest.fixture
def base(engine, base_image, image_name):
    """Debian 12; for fiji with a Java, which Fiji's own download brings along."""

    def provide(name, folder):
        debian = base_image("bookworm")
        if name != "fiji":
            return debian
        java = folder / "Dockerfile"
        folder.mkdir()
        # Its package wants to put links there, which the slim images do not have.
        java.write_text(
            f"FROM {debian}\nRUN mkdir -p /usr/share/man/man1 && apt-get update && "
            "apt-get install -y --no-install-recommends openjdk-17-jre-headless\n"
        )
        return engine.build(folder, image_name("java"))

    return provide


@pytest.mark.parametrize("name", TRIALS)
def test_its_jobs_run_in_its_image(name, engine, base, context, image_name, tmp_path):
    trial = TRIALS[name]
    if missing := trial.missing():
        pytest.fail(f"{missing}. Run: make example-tools", pytrace=False)
    folder = context(trial)
    options = []
    if name == "fiji":
        # Instead of Fiji's download: ImageJ, with a launcher of the same name.
        shutil.make_archive(str(folder / "fiji"), "zip", _as_fiji(tmp_path))
        options = ["--build-arg", "fiji=fiji.zip"]
    image = engine.build(folder, image_name(name), base(name, tmp_path / "base"), *options)
    trial.get_input(trial.project / "input")
    output = tmp_path / "output"
    done = subprocess.run(
        [
            *(sys.executable, "run.py", "--config", f"examples/{name}", "local", trial.job_file),
            *("--image", image, "--engine", engine.command[0], "--output", str(output)),
        ],
        cwd=CHECKOUT,
        env={**os.environ, **engine.environ},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(trial.check(output)) == 3


def _as_fiji(folder):
    """A folder with Fiji.app in it, as Fiji is packed."""
    packed = folder / "packed"
    shutil.copytree(tools.TOOLS / "fiji", packed / "Fiji.app")
    return packed
