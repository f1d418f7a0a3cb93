from __future__ import annotations

from pathlib import Path

import pytest

from control.checks import image

SHIPPED = (Path(__file__).resolve().parents[3] / "worker/Makefile").read_text()
FILLED = SHIPPED.replace("user = yourname", "user = jane").replace("1.0.0", "2.1.0")


def test_the_image_is_put_together_from_the_words_of_the_shipped_makefile():
    assert image.of_makefile(FILLED) == "jane/distributed-something:2.1.0"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("image = ecr.example/tool:1  # in ECR", "ecr.example/tool:1"),
        ("a = $(b)\nb = $(c)\nc = x\nimage := ${a}:1", "x:1"),
        ("user ?= jane\nimage = $(user)/tool:1", "jane/tool:1"),
        ("image = $(image)", None),
        ("image = $(shell git describe)", None),
        ("image = $(nothing)/tool", None),
        ("build:\n\tdocker build .", None),
        (SHIPPED, None),
    ],
)
def test_a_name_that_cannot_be_known_is_none(text, name):
    assert image.of_makefile(text) == name


@pytest.mark.parametrize(
    "tag",
    [
        "jane/distributed-something:2.1.0",
        "docker.io/jane/distributed-something:2.1.0",
        "index.docker.io/jane/distributed-something:2.1.0",
    ],
)
def test_the_same_image_is_no_disagreement(tmp_path, tag):
    makefile = tmp_path / "Makefile"
    makefile.write_text(FILLED)

    assert image.built_instead(tag, makefile) is None


@pytest.mark.parametrize(
    "tag",
    [
        "jane/distributed-something:1.0.0",
        "jane/distributed-something",
        "ecr.example/jane/distributed-something:2.1.0",
    ],
)
def test_another_image_is_named_along_with_the_one_that_the_makefile_builds(tmp_path, tag):
    makefile = tmp_path / "Makefile"
    makefile.write_text(FILLED)

    assert image.built_instead(tag, makefile) == "jane/distributed-something:2.1.0"


def test_no_tag_is_the_tag_latest(tmp_path):
    makefile = tmp_path / "Makefile"
    makefile.write_text("image = tool:latest\n")

    assert image.built_instead("tool", makefile) is None


def test_an_image_of_somebody_else_is_no_disagreement(tmp_path):
    shipped = tmp_path / "Makefile"
    shipped.write_text(SHIPPED)

    assert image.built_instead("jane/tool:1", shipped) is None
    assert image.built_instead("jane/tool:1", tmp_path / "missing") is None
