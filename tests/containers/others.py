"""The worker's image on other bases than Debian 12.

Building them takes minutes, and only test_bases.py needs them: they are built one after the other,
in the background of the tests before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.containers import bases
from tests.containers.engine import Engine

WORKER = Path(__file__).resolve().parents[2] / "worker"
# A tool on the Python 3.8 of its own, with other boto3 and numpy than the worker could use, and
# with PYTHONPATH set: what is there would break any program that takes its packages from it.
_TOOL = """FROM {base}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
        python3 python3-boto3 python3-numpy \\
    && mkdir /opt/tool && echo 'raise ImportError("of the tool")' > /opt/tool/botocore.py
ENV PYTHONPATH=/opt/tool
"""
# Those of a tool, and those that have no Python.
_SUITES = {"focal": _TOOL, "bullseye": "", "trixie": ""}


@dataclass(frozen=True)
class Built:
    """An image of the worker, and the one that it was built on."""

    base: str
    image: str


class Others:
    """Builds all of them, from now on; `close` begins no other."""

    def __init__(self, engine: Engine, image_name: Callable[[str], str]) -> None:
        self._engine, self._name = engine, image_name
        self._pool = ThreadPoolExecutor(1)
        self._building: dict[str, Future[Built]] = {
            suite: self._pool.submit(self._build, suite) for suite in _SUITES
        }

    def get(self, suite: str) -> Built:
        """Wait for the image of a suite and return it. Raise bases.NoBase."""
        return self._building[suite].result()

    def close(self) -> None:
        """Return when nothing is being built."""
        self._pool.shutdown(cancel_futures=True)

    def _build(self, suite: str) -> Built:
        base = bases.provide(self._engine, suite)
        if tool := _SUITES[suite]:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "Dockerfile").write_text(tool.format(base=base))
                base = self._engine.build(folder, self._name(f"tool-{suite}"))
        image = self._engine.build(WORKER, self._name(f"worker-{suite}"), base=base)
        return Built(base, image)
