"""The parts of an image's name: registry, repository, tag or digest. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HUB = "docker.io"
_ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


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
