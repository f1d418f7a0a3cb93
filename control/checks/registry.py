"""check: whether the image is there, for the machines' processors, and the one that is built."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from control import local_environment, settings
from control.checks import image_name, image_parts
from control.checks.findings import WARNED, Finding, Subject, failed, passed, unknown
from control.checks.image_parts import ImageName

# Its list of tags is open to all and, unlike a manifest, no pull that Docker Hub counts.
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
    """DOCKERHUB_TAG and what worker/Makefile builds are the same."""
    config = subject.config
    path = settings.find(config, "worker/Makefile")
    wrong = image_name.disagreement(config.DOCKERHUB_TAG, path)
    if wrong is None:
        yield passed("image name", "worker/Makefile builds no other image")
    else:
        yield Finding("image name", WARNED, wrong.what, wrong.fix)


def image(subject: Subject) -> Iterator[Finding]:
    """The image is in its registry, where that can be asked, for the machines' architecture."""
    name = image_parts.parse(subject.config.DOCKERHUB_TAG)
    if local_environment.leads_here():
        yield unknown("image", "on this computer containers run without their image")
    elif name.ecr:
        yield from _in_ecr(subject, name, *name.ecr)
    elif name.is_on_hub:
        yield from _on_hub(subject, name)
    else:
        yield unknown("image", f"only ECR and Docker Hub can be asked, not {name.registry}")


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
        # Its layers lie elsewhere, and a manifest of an old kind does not say it.
        platforms = set()
    yield from _architecture(subject, platforms)


def _of_manifest(ecr: Any, where: dict[str, Any], manifest: dict[str, Any]) -> set[str]:
    """Docker's words for the processors that an image is for."""
    if "manifests" in manifest:
        platforms = (one.get("platform", {}) for one in manifest["manifests"])
        return {p["architecture"] for p in platforms if p.get("os") == "linux"}
    repository = {name: where[name] for name in ("registryId", "repositoryName")}
    layer = ecr.get_download_url_for_layer(**repository, layerDigest=manifest["config"]["digest"])
    with urllib.request.urlopen(layer["downloadUrl"], timeout=_SECONDS) as answer:
        return {json.loads(answer.read())["architecture"]}


def _on_hub(subject: Subject, name: ImageName) -> Iterator[Finding]:
    if name.digest:
        yield unknown("image", "Docker Hub is asked for tags only, not for digests")
        return
    url = f"{HUB}/v2/repositories/{name.repository}/tags/{name.tag}"
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            told = json.loads(answer.read())
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
        yield unknown("image", f"{HUB} answers, but not with JSON: a proxy may stand before it")
        return
    images = told.get("images", []) if isinstance(told, dict) else []
    yield from _architecture(
        subject, {one["architecture"] for one in images if one.get("os", "linux") == "linux"}
    )


def _architecture(subject: Subject, has: set[str]) -> Iterator[Finding]:
    tag = subject.config.DOCKERHUB_TAG
    if not subject.types or not has:
        yield passed("image", f"{tag} is there")
        yield unknown("image", "for which processors it is, or which the machines have")
        return
    needs = subject.types[0].architecture
    platform = _PLATFORMS[needs]
    if platform in has:
        yield passed("image", f"{tag} is there, for {platform}")
    else:
        words = {"image": tag, "needs": needs, "platform": platform}
        yield failed("image", "image architecture", has=" and ".join(sorted(has)), **words)
