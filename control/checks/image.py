"""Check the image: its name, and whether its registry has it for these machines."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control.checks.findings import Finding, Subject, failed, passed, unknown, warned
from control.config import find_in_project

_HUB = "docker.io"
_ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True)
class ImageName:
    """An image's name in its parts, as Docker reads them; `digest` is "" if it has a tag."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def ecr(self) -> tuple[str, str] | None:
        """Return account and region of ECR; None if it is in another registry."""
        found = _ECR.fullmatch(self.registry)
        return (found[1], found[2]) if found else None


def parse(text: str) -> ImageName:
    """Split an image's name. A first part with a dot, a colon or "localhost" is a registry; without
    one it is Docker Hub (distribution's reference grammar)."""
    name, _, digest = text.partition("@")
    first, slash, rest = name.partition("/")
    registry, path = (first, rest) if slash and _is_host(first) else (_HUB, name)
    registry = _HUB if registry == f"index.{_HUB}" else registry
    repository, colon, tag = path.rpartition(":")
    if not colon:
        repository, tag = path, "latest"
    if registry == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    return ImageName(registry, repository, "" if digest else tag, digest)


def _is_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"


_ASSIGNMENT = re.compile(r"^(\w+)\s*[:?]?=\s*(.*?)\s*(?:#.*)?$")
_REFERENCE = re.compile(r"\$[({](\w+)[)}]")
# The `user` of the Makefile as shipped: nobody has built an image of their own with it yet.
_NOBODY = "yourname"


def of_makefile(text: str) -> str | None:
    """Return the name of the image that a Makefile builds, such as 'user/project:tag'.

    None where it cannot be read: the placeholder is still in place, or `image` is something other
    than words and $(references) to them.
    """
    words: dict[str, str] = {}
    for line in text.splitlines():
        if match := _ASSIGNMENT.match(line):
            words[match[1]] = match[2]
    image = words.get("image", "")
    # Once for each word: one that refers to itself never becomes a name.
    for _ in words:
        image = _REFERENCE.sub(lambda match: words.get(match[1], match[0]), image)
    if not image or "$" in image or " " in image or words.get("user") == _NOBODY:
        return None
    return image


def built_instead(dockerhub_tag: str, makefile: Path) -> str | None:
    """Return the image that the Makefile builds if config.py names another, else None.

    Without a Makefile, or with one that nobody has filled in, the image is somebody else's.
    """
    try:
        built = of_makefile(makefile.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return built if built and parse(built) != parse(dockerhub_tag) else None


# Its list of tags is public and, unlike a manifest, Docker Hub does not count it as a pull.
HUB = "https://hub.docker.com"
_SECONDS = 10
_MANIFESTS = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]
# EC2's word for a processor -> Docker's.
_PLATFORMS = {"x86_64": "amd64", "arm64": "arm64"}


def makefile(subject: Subject) -> Iterator[Finding]:
    """Compare DOCKERHUB_TAG with the image that worker/Makefile builds."""
    tag, path = subject.config.DOCKERHUB_TAG, find_in_project(subject.config, "worker/Makefile")
    built = built_instead(tag, path)
    if built:
        yield warned("image name", "other image", image=tag, makefile=path, built=built)
    else:
        yield passed("image name", "worker/Makefile builds no other image")


def image(subject: Subject) -> Iterator[Finding]:
    """Check that the registry, if it can be queried, has the image for these machines."""
    name = parse(subject.config.DOCKERHUB_TAG)
    if subject.aws.is_local:
        yield unknown("image", "on this computer containers run without their image")
    elif name.ecr:
        yield from _in_ecr(subject, name, *name.ecr)
    elif name.registry == _HUB:
        yield from _on_hub(subject, name)
    else:
        yield unknown("image", f"only ECR and Docker Hub can be queried, not {name.registry}")


def _in_ecr(subject: Subject, name: ImageName, account: str, region: str) -> Iterator[Finding]:
    ecr = subject.aws.ecr(region)
    wanted = {"imageDigest": name.digest} if name.digest else {"imageTag": name.tag}
    where = {"registryId": account, "repositoryName": name.repository, "imageIds": [wanted]}
    gone = (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException)
    try:
        ecr.describe_images(**where)
    except gone:
        words = {"image": subject.config.DOCKERHUB_TAG, "registry": f"ECR of {account}, {region}"}
        yield failed("image", "no image", **words)
        return
    answer = ecr.batch_get_image(**where, acceptedMediaTypes=_MANIFESTS)
    try:
        manifest = json.loads(answer["images"][0]["imageManifest"])
        platforms = _of_manifest(ecr, where, manifest)
    except (OSError, ValueError, LookupError):
        # Its layers are elsewhere, and a manifest of an old kind does not have it.
        platforms = set()
    yield from _architecture(subject, platforms)


def _of_manifest(ecr: Any, where: dict[str, Any], manifest: dict[str, Any]) -> set[str]:
    """Return Docker's words for the processors that an image is for."""
    if "manifests" in manifest:
        platforms = (one.get("platform", {}) for one in manifest["manifests"])
        return {p["architecture"] for p in platforms if p.get("os") == "linux"}
    repository = {name: where[name] for name in ("registryId", "repositoryName")}
    layer = ecr.get_download_url_for_layer(**repository, layerDigest=manifest["config"]["digest"])
    with urllib.request.urlopen(layer["downloadUrl"], timeout=_SECONDS) as answer:
        return {json.loads(answer.read())["architecture"]}


def _on_hub(subject: Subject, name: ImageName) -> Iterator[Finding]:
    if name.digest:
        yield unknown("image", "Docker Hub lists tags only, not digests")
        return
    url = f"{HUB}/v2/repositories/{name.repository}/tags/{name.tag}"
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            described = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            yield failed("image", "image not public", image=subject.config.DOCKERHUB_TAG)
        else:
            yield unknown("image", f"Docker Hub answers {error.code} {error.reason}")
        return
    except OSError as error:
        yield unknown("image", f"{HUB} cannot be reached ({error})")
        return
    except ValueError:
        yield unknown("image", f"{HUB} answers, but not with JSON: there may be a proxy in between")
        return
    images = described.get("images", []) if isinstance(described, dict) else []
    yield from _architecture(
        subject, {one["architecture"] for one in images if one.get("os", "linux") == "linux"}
    )


def _architecture(subject: Subject, has: set[str]) -> Iterator[Finding]:
    tag = subject.config.DOCKERHUB_TAG
    if not subject.types or not has:
        yield passed("image", f"{tag} exists")
        yield unknown("image", "which processors it is for, or which the machines have")
        return
    needs = subject.types[0].architecture
    platform = _PLATFORMS[needs]
    if platform in has:
        yield passed("image", f"{tag} exists, for {platform}")
    else:
        words = {"image": tag, "needs": needs, "platform": platform}
        yield failed("image", "image architecture", has=" and ".join(sorted(has)), **words)
