"""The worker's image: the name that worker/Makefile gives it, beside DOCKERHUB_TAG of config.py."""

from __future__ import annotations

import re
from pathlib import Path

from control.errors import UserError

_ASSIGNMENT = re.compile(r"^(\w+)\s*[:?]?=\s*(.*?)\s*(?:#.*)?$")
_REFERENCE = re.compile(r"\$[({](\w+)[)}]")
# The `user` of the Makefile as shipped: nobody has built an image of their own with it yet.
_NOBODY = "yourname"
_DOCKER_HUB = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")


def of_makefile(text: str) -> str | None:
    """The name of the image that a Makefile builds, such as 'user/project:tag'.

    None where it cannot be read: the placeholder is still in place, or `image` is something other
    than words and $(references) to them.
    """
    words: dict[str, str] = {}
    for line in text.splitlines():
        if match := _ASSIGNMENT.match(line):
            words[match[1]] = match[2]
    image = words.get("image", "")
    # As often as there are words: one that refers to itself is no name.
    for _ in words:
        image = _REFERENCE.sub(lambda match: words.get(match[1], match[0]), image)
    if not image or "$" in image or " " in image or words.get("user") == _NOBODY:
        return None
    return image


def disagreement(dockerhub_tag: str, makefile: Path) -> UserError | None:
    """What is wrong if config.py names another image than the Makefile builds; None if nothing is.

    Nothing is said where there is no Makefile, or one that nobody has filled in: the image is
    then somebody else's.
    """
    try:
        built = of_makefile(makefile.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if built is None or _whole(built) == _whole(dockerhub_tag):
        return None
    return UserError(
        f"DOCKERHUB_TAG of config.py is {dockerhub_tag}, but {makefile} builds {built}.",
        f"Put the one that is to run into both: DOCKERHUB_TAG = {built!r}, or change the Makefile.",
    )


def _whole(name: str) -> str:
    """A name as registries take it: `latest` is the tag that is left out, Docker Hub the host."""
    for host in _DOCKER_HUB:
        name = name.removeprefix(host)
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"
