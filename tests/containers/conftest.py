"""Real containers: the engine of this machine, base images, and the worker's image.

Where there is no engine these tests are skipped, and the reason is said; .ci/run installs one.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.containers import bases
from tests.containers import engine as engines

ROOT = Path(__file__).resolve().parents[2]
# Two checkouts on one machine share the store, but not their images.
_CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]


@pytest.fixture(scope="session")
def engine():
    """The container engine: `.command`, `.environ`, `.run(...)`, `.build(...)`; see engine.py."""
    try:
        return engines.find()
    except engines.NoEngine as error:
        pytest.skip(f"no container engine: {error}")


@pytest.fixture(scope="session")
def base_image(engine):
    """Gives the name of a base image by its suite ("bookworm"), made or pulled when first asked."""

    def provide(suite):
        try:
            return bases.provide(engine, suite)
        except bases.NoBase as error:
            pytest.skip(str(error))

    return provide


@pytest.fixture(scope="session")
def image_name():
    """Gives the tag of an image of this checkout: image_name("worker")."""
    return lambda name: f"localhost/distributed-something-{name}:{_CHECKOUT}"


@pytest.fixture(scope="session")
def worker_image(engine, base_image, image_name):
    """The tag of the image of worker/, built from its Dockerfile on Debian 12."""
    return engine.build(ROOT / "worker", image_name("worker"), base=base_image("bookworm"))


@pytest.fixture(scope="session")
def obedient_image(engine, worker_image, image_name, tmp_path_factory):
    """The worker's image with the generic-worker.py of these tests."""
    folder = tmp_path_factory.mktemp("obedient")
    shutil.copy(Path(__file__).with_name("generic-worker.py"), folder)
    lines = f"FROM {worker_image}\nCOPY generic-worker.py /home/ubuntu/generic-worker.py\n"
    (folder / "Dockerfile").write_text(lines)
    return engine.build(folder, image_name("obedient"))
