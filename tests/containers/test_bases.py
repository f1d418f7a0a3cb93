"""What implementers put behind FROM: old and new, with and without a Python of its own."""

from __future__ import annotations

import pytest

from tests.containers.conftest import ROOT, until

# A tool on the Python 3.8 of its own, with other boto3 and numpy than the worker could use, and
# with PYTHONPATH set: what is there would break any program that takes its packages from it.
TOOL = """FROM {base}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
        python3 python3-boto3 python3-numpy \\
    && mkdir /opt/tool && echo 'raise ImportError("of the tool")' > /opt/tool/botocore.py
ENV PYTHONPATH=/opt/tool
"""
ASK = "import sys, numpy; print(sys.version, sys.executable, numpy.__version__, sys.path)"
ASK_BOTO3 = "import sys; sys.path.remove('/opt/tool'); import boto3; print(boto3.__version__)"


def works(site, start, image):
    """The shipped job is done in the image, and the container ends as it should."""
    site.s3.put_object(Bucket=site.bucket, Key="documents/a.md", Body=b"one two\nthree\n")
    site.send({"document": "a.md"}, input_location="documents", output_location="counts")
    container = start(image=image)
    until(lambda: site.states("records"), 120)
    container.engine.run("stop", "-t", "20", container.name)

    assert site.states("records") == ["done.json"], container.output()
    assert b"a.md,2,3,14" in site.read("counts/a.md/word_count.csv")
    assert container.exit_code() == 0


@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_a_base_without_python(engine, base_image, image_name, site, start, suite):
    base = base_image(suite)
    none = engine.run("run", "--rm", base, "sh", "-c", "command -v python3", check=False)
    assert none.returncode != 0

    image = engine.build(ROOT / "worker", image_name(f"worker-{suite}"), base=base)

    works(site, start, image)


def test_a_tool_with_its_own_python_and_packages_is_left_as_it_was(
    engine, base_image, image_name, site, start, tmp_path
):
    (tmp_path / "Dockerfile").write_text(TOOL.format(base=base_image("focal")))
    tool = engine.build(tmp_path, image_name("tool"))
    image = engine.build(ROOT / "worker", image_name("worker-tool"), base=tool)

    def ask(which, script):
        entry = ("run", "--rm", "--entrypoint", "python3", which, "-c", script)
        return engine.run(*entry).stdout

    assert "3.8" in ask(tool, ASK)
    for script in (ASK, ASK_BOTO3):
        assert ask(image, script) == ask(tool, script)
    own = ("run", "--rm", "--entrypoint", "aws", image, "--version")
    assert engine.run(*own).stdout.startswith("aws-cli/1.")
    works(site, start, image)
