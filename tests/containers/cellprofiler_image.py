"""The example cellprofiler in its own image, on Debian with CellProfiler as the trial installs it.

CellProfiler's own image cannot be pulled everywhere. Building this one takes minutes, so that only
`make example-cellprofiler-image` runs this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.trials import tools
from tests.trials.cellprofiler import COMPILED, COMPILERS, CORE, REQUIREMENTS, TRIAL
from tests.trials.trial import CHECKOUT

LIMIT = 1800
PIP = "/opt/cellprofiler/bin/pip install --quiet --no-cache-dir"
# Java's package wants to put links into a folder that slim images do not have.
DOCKERFILE = f"""
RUN mkdir -p /usr/share/man/man1 && apt-get update && apt-get install -y --no-install-recommends \\
    g++ openjdk-17-jdk-headless python3-dev python3-venv
COPY {REQUIREMENTS.name} /tmp/requirements.txt
ENV JAVA_HOME=/usr/lib/jvm/default-java PATH=/opt/cellprofiler/bin:$PATH
RUN ln -s /usr/lib/jvm/java-17-openjdk-* /usr/lib/jvm/default-java \\
    && python3 -m venv /opt/cellprofiler && {PIP} {" ".join(COMPILERS)} \\
    && {PIP} --no-build-isolation --no-deps {" ".join(COMPILED)} \\
    && {PIP} --only-binary :all: -r /tmp/requirements.txt \\
    && {PIP} --no-deps {CORE} {tools.CELLPROFILER}
"""


@pytest.fixture
def image(engine, base_image, image_name, tmp_path):
    """The example's image; its plugins are one that does nothing."""
    program = tmp_path / "program"
    program.mkdir()
    shutil.copy(REQUIREMENTS, program)
    (program / "Dockerfile").write_text(f"FROM {base_image('bookworm')}\n{DOCKERFILE}")
    base = engine.build(program, image_name("cellprofiler-program"))
    folder = tmp_path / "worker"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "worker", folder, ignore=ignored)
    shutil.copytree(TRIAL.project / "worker", folder, ignore=ignored, dirs_exist_ok=True)
    with zipfile.ZipFile(folder / "plugins.zip", "w") as packed:
        packed.writestr("CellProfiler-plugins-master/active_plugins/none.py", "")
    options = ("--build-arg", "plugins=plugins.zip")
    return engine.build(folder, image_name("cellprofiler"), base, *options)


def test_its_jobs_run_in_its_image(engine, image, tmp_path):
    TRIAL.install()
    TRIAL.get_input(TRIAL.project / "input")
    output = tmp_path / "output"

    done = subprocess.run(
        [
            *(sys.executable, "run.py", "--config", "examples/cellprofiler", "local"),
            *(TRIAL.job_file, "--image", image, "--engine", engine.command[0]),
            *("--workers", "2", "--output", str(output)),
        ],
        cwd=CHECKOUT,
        env={**os.environ, **engine.environ},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(TRIAL.check(output)) == 3
