"""The image of worker/ as it is built."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from tests.containers.conftest import ROOT, until

SECTION = re.compile(r"^# MOUNT S3:.*?^# END OF MOUNT S3\n", re.MULTILINE | re.DOTALL)
# What builds, by the names of Debian's packages.
BUILDS = re.compile(r"-dev$|-venv$|-pip|-setuptools|^gcc|^g\+\+|^make$|^cpp")
AWS_CLI = """
source = f"s3://{job.source_bucket}/{job['file']}"
job.run(["aws", "s3", "cp", "--no-progress", source, job.output_dir / "copy.txt"])
"""


@pytest.fixture
def context(tmp_path):
    """A copy of worker/ to change."""
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(ROOT / "worker", tmp_path / "worker", ignore=ignored)


def test_without_settings_the_container_says_what_it_lacks(engine, worker_image):
    ended = engine.run("run", "--rm", worker_image, check=False)

    assert ended.returncode == 2
    assert "SQS_QUEUE_URL" in ended.stdout


def test_nothing_that_only_builds_is_left_in_it(engine, base_image, worker_image):
    def ask(image, script):
        entry = ("run", "--rm", "--entrypoint", "sh", image, "-c", script)
        return set(engine.run(*entry).stdout.split())

    packages = "dpkg-query --show --showformat '${Package} '"
    added = ask(worker_image, packages) - ask(base_image("bookworm"), packages)
    assert {"python3", "s3fs"} <= added
    assert not [package for package in added if BUILDS.search(package)]
    left = ask(worker_image, "ls /opt/distributed-something/lib/python3*/site-packages")
    assert "boto3" in left and not left & {"pip", "setuptools", "wheel"}


def test_after_an_edit_of_the_worker_only_its_own_files_are_built_again(
    engine, base_image, worker_image, image_name, context
):
    def layers(image):
        form = "{{json .RootFS.Layers}}"
        return json.loads(engine.run("image", "inspect", "-f", form, image).stdout)

    with open(context / "generic-worker.py", "a") as file:
        file.write("# An edit.\n")
    edited = engine.build(context, image_name("edited"), base=base_image("bookworm"))

    *before, last = layers(worker_image)
    assert layers(edited)[:-1] == before and layers(edited)[-1] != last


def test_scripts_of_a_job_have_the_aws_cli(site, start):
    site.s3.put_object(Bucket=site.bucket, Key="inputs/a b.txt", Body=b"by the CLI")
    site.send({"file": "inputs/a b.txt", "name": "one"})
    start(run_job=AWS_CLI)

    until(lambda: site.states("records"))

    assert site.read("out/one/copy.txt") == b"by the CLI"


def test_without_its_sections_on_mounting_the_image_is_smaller_and_downloads(
    engine, base_image, worker_image, image_name, context, site, start
):
    for name in ("Dockerfile", "run-worker.sh"):
        text, found = SECTION.subn("", (context / name).read_text())
        assert found == 1
        (context / name).write_text(text)
    image = engine.build(context, image_name("no-mount"), base=base_image("bookworm"))
    site.send({"name": "one"})

    refusing = start(image=image, DOWNLOAD_FILES="False")
    refusing.says("SOURCE_BUCKET is not mounted")
    assert site.waiting() == (1, 0)
    refusing.engine.run("kill", refusing.name)
    start(image=image, run_job='(job.output_dir / "x").write_text("x")')

    until(lambda: site.states("records"))
    assert site.states("records") == ["done.json"]
    assert engine.size(image) < engine.size(worker_image)
