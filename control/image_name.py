"""The name of the image: what config.py says, and what worker/Makefile builds. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HUB = "docker.io"
_ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_VARIABLE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*[:?]?=\s*(.*?)\s*(?:#.*)?$")
_REFERENCE = re.compile(r"\$[({](\w+)[)}]")


@dataclass(frozen=True)
class ImageName:
    """An image's name in its parts, as Docker reads them; `digest` is "" if a tag is meant."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def is_on_hub(self) -> bool:
        return self.registry == _HUB

    @property
    def ecr(self) -> tuple[str, str] | None:
        """(account, region) of ECR, None if it is of another registry."""
        found = _ECR.fullmatch(self.registry)
        return (found[1], found[2]) if found else None


def parse(text: str) -> ImageName:
    """The parts of an image's name. A first part with a dot, a colon or "localhost" is a registry;
    without one it is Docker Hub (distribution's reference grammar)."""
    name, _, digest = text.partition("@")
    first, slash, rest = name.partition("/")
    registry, path = (first, rest) if slash and _is_host(first) else (_HUB, name)
    repository, colon, tag = path.rpartition(":")
    if not colon:
        repository, tag = path, "latest"
    if registry == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    return ImageName(registry, repository, "" if digest else tag, digest)


def _is_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"


def built_by(makefile: Path) -> str | None:
    """The image that worker/Makefile builds, None if it does not say so in a variable `image`."""
    try:
        text = makefile.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = (_VARIABLE.match(line) for line in text.splitlines() if not line.startswith("\t"))
    variables = {one[1]: one[2] for one in found if one}
    return _filled(variables["image"], variables) if "image" in variables else None


def _filled(text: str, variables: Mapping[str, str], depth: int = 10) -> str | None:
    """The text with its variables; None if one is not known or they go round in a circle."""
    names = _REFERENCE.findall(text)
    if not names:
        return text
    if not depth or not variables.keys() >= set(names):
        return None
    return _filled(_REFERENCE.sub(lambda one: variables[one[1]], text), variables, depth - 1)
