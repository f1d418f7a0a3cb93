"""The files that every example has, and those that it must not have."""

from __future__ import annotations

import re

import pytest

from tests.trials.__main__ import TRIALS
from tests.trials.trial import CHECKOUT, EXAMPLES

NAMES = sorted({trial.project.name for trial in TRIALS.values()})
OWN = {
    *("config.py", "files/exampleJob.json", "README.md"),
    *("worker/generic-worker.py", "worker/Dockerfile"),
}
MARK = "# Install more of what your program needs here.\n"


def test_every_example_is_tried():
    folders = {path.parent.name for path in EXAMPLES.glob("*/config.py")}
    assert folders == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_complete_and_takes_everything_else_from_the_template(name):
    folder = EXAMPLES / name
    assert all((folder / path).is_file() for path in OWN)
    assert not (folder / "worker/plumbing").exists() and not (folder / "control").exists()


@pytest.mark.parametrize("name", NAMES)
def test_its_page_gives_the_one_command(name):
    page = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert f"make example-{name}\n" in page
    assert len(page.splitlines()) <= 60, "one page"


@pytest.mark.parametrize("name", NAMES)
def test_its_dockerfile_is_the_templates_with_another_image_and_more_in_one_place(name):
    template = (CHECKOUT / "worker/Dockerfile").read_text(encoding="utf-8")
    own = (EXAMPLES / name / "worker/Dockerfile").read_text(encoding="utf-8")
    image = re.compile(r"^FROM \S+", re.MULTILINE)
    before, after = image.sub("FROM", template, count=1).split(MARK)
    own = image.sub("FROM", own, count=1)
    assert own.startswith(before + MARK) and own.endswith(after)
