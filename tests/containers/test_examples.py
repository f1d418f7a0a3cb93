"""The images of the examples: each Dockerfile, built on Debian's own image."""

from __future__ import annotations

import shutil

import pytest

from examples.trials import hello_world, ome_zarr, variant_calling
from examples.trials.trial import CHECKOUT

# What proves that the program is in the image and starts.
PROGRAMS = {
    "hello_world": (hello_world.TRIAL, ["echo", "hello"], "hello"),
    "ome_zarr": (ome_zarr.TRIAL, ["ngff-zarr", "--help"], "usage: ngff-zarr"),
    "variant_calling": (variant_calling.TRIAL, ["bcftools", "--version"], "bcftools 1."),
}


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
