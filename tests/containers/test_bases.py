"""Base images that implementers choose: old and new, with and without their own Python."""

from __future__ import annotations

import pytest

from tests.containers.conftest import until

ASK = "import sys, numpy; print(sys.version, sys.executable, numpy.__version__, sys.path)"
ASK_BOTO3 = "import sys; sys.path.remove('/opt/tool'); import boto3; print(boto3.__version__)"


def works(site, start, image):
    """Assert that the image does the shipped job, and that its container ends as it should."""
    site.s3.put_object(Bucket=site.bucket, Key="documents/a.md", Body=b"one two\nthree\n")
    site.send({"document": "a.md"}, input_location="documents", output_location="counts")
    container = start(image=image)
    until(lambda: site.states("records"), 120)
    container.engine.run("stop", "-t", "20", container.name)

    assert site.states("records") == ["done.json"], container.output()
    assert b"a.md,2,3,14" in site.read("counts/a.md/word_count.csv")
    assert container.exit_code() == 0


@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_a_base_without_python(engine, on_other_bases, site, start, suite):
    built = on_other_bases(suite)
    script = ("sh", "-c", "command -v python3")
    assert engine.run("run", "--rm", built.base, *script, check=False).returncode != 0

    works(site, start, built.image)


def test_a_tool_with_its_own_python_and_packages_is_left_as_it_was(
    engine, on_other_bases, site, start
):
    built = on_other_bases("focal")

    def ask(which, script):
        entry = ("run", "--rm", "--entrypoint", "python3", which, "-c", script)
        return engine.run(*entry).stdout

    assert "3.8" in ask(built.base, ASK)
    for script in (ASK, ASK_BOTO3):
        assert ask(built.image, script) == ask(built.base, script)
    own = ("run", "--rm", "--entrypoint", "aws", built.image, "--version")
    assert engine.run(*own).stdout.startswith("aws-cli/1.")
    works(site, start, built.image)
