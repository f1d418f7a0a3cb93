"""Images that stand for what implementers put behind FROM: minimal Debian and Ubuntu, old and new.

Where mmdebstrap is installed they are made from the distribution's packages, as the official ones
are, and kept in the cache folder; elsewhere the official ones are pulled.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.containers.engine import LONGEST_SECONDS, Engine, cache_folder

_DEBIAN = "http://deb.debian.org/debian"
_DEBIAN_SECURITY = "http://deb.debian.org/debian-security"
_UBUNTU = "http://archive.ubuntu.com/ubuntu"
# Ubuntu's keys, which Debian does not have: a file of Ubuntu's archive that is known by its hash.
_KEYRING = f"{_UBUNTU}/pool/main/u/ubuntu-keyring/ubuntu-keyring_2020.02.11.4_all.deb"
_KEYRING_SHA256 = "2684fae16e90a9ff3cb4dc08a8af5bd9973d38763b60e5f458dea0b403a39788"
# As in the official slim images these folders are left out of every package; Ubuntu needs its man.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
# Change it when what is in a base changes: the cached ones are then made again.
_VERSION = 1


class NoBase(Exception):
    """The base image cannot be had here; the text says why."""


@dataclass(frozen=True)
class Base:
    """A release of a distribution; `hub` is the name of its official image."""

    suite: str
    hub: str
    ubuntu: bool = False

    @property
    def image(self) -> str:
        return f"localhost/distributed-something-base:{self.suite}-{_VERSION}"


BASES = {
    base.suite: base
    for base in (
        Base("bullseye", "docker.io/library/debian:bullseye-slim"),
        Base("bookworm", "docker.io/library/debian:bookworm-slim"),
        Base("trixie", "docker.io/library/debian:trixie-slim"),
        Base("focal", "docker.io/library/ubuntu:focal", ubuntu=True),
        Base("noble", "docker.io/library/ubuntu:noble", ubuntu=True),
    )
}


def provide(engine: Engine, suite: str) -> str:
    """Put a base image into the engine's store and return its name. Raise NoBase."""
    base = BASES[suite]
    folder = cache_folder() / "bases"
    folder.mkdir(exist_ok=True)
    with alone(folder / f"{suite}.lock"):
        if not engine.has(base.image):
            _load(engine, base, folder)
    return base.image


def _load(engine: Engine, base: Base, folder: Path) -> None:
    if not shutil.which("mmdebstrap") or os.geteuid() != 0:
        pulled = engine.run("pull", base.hub, check=False)
        if pulled.returncode != 0:
            raise NoBase(
                f"{base.hub} cannot be pulled, and mmdebstrap is not here, or not used by root. "
                "On Debian: apt-get install mmdebstrap"
            )
        engine.run("tag", base.hub, base.image)
        return
    archive = folder / f"{base.suite}-{_VERSION}.tar"
    if not archive.exists():
        _make(base, archive)
    engine.run("import", "--change", 'CMD ["bash"]', str(archive), base.image)


def _make(base: Base, archive: Path) -> None:
    unfinished = archive.with_suffix(".unfinished.tar")
    options = ["--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io"]
    options += [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
    with tempfile.NamedTemporaryFile(suffix=".gpg") as keyring:
        if base.ubuntu:
            keyring.write(_ubuntu_keyring().read_bytes())
            keyring.flush()
            # apt checks signatures as a user that may not look into the home of another.
            os.chmod(keyring.name, 0o644)
            options += [f"--keyring={keyring.name}", "--include=apt,ubuntu-keyring"]
        made = subprocess.run(
            ["mmdebstrap", *options, base.suite, str(unfinished), *_sources(base)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    if made.returncode != 0:
        unfinished.unlink(missing_ok=True)
        raise NoBase(f"mmdebstrap could not make {base.suite}: {made.stderr.strip()[-500:]}")
    unfinished.rename(archive)


def _sources(base: Base) -> list[str]:
    """The lines of sources.list, for the bootstrap and in the image."""
    suite = base.suite
    if not base.ubuntu:
        return [
            f"deb {_DEBIAN} {suite} main",
            f"deb {_DEBIAN} {suite}-updates main",
            f"deb {_DEBIAN_SECURITY} {suite}-security main",
        ]
    suites = (suite, f"{suite}-updates", f"{suite}-security")
    return [f"deb {_UBUNTU} {each} main universe" for each in suites]


def _ubuntu_keyring() -> Path:
    folder = cache_folder() / "ubuntu-keyring"
    keyring = folder / "usr/share/keyrings/ubuntu-archive-keyring.gpg"
    with alone(cache_folder() / "ubuntu-keyring.lock"):
        if not keyring.exists():
            with urllib.request.urlopen(_KEYRING, timeout=60) as answer:
                package = answer.read()
            if hashlib.sha256(package).hexdigest() != _KEYRING_SHA256:
                raise NoBase(f"{_KEYRING} is not the file that is expected")
            file = cache_folder() / "ubuntu-keyring.deb"
            file.write_bytes(package)
            subprocess.run(["dpkg-deb", "-x", str(file), str(folder)], check=True)
    return keyring


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Let only one of several simultaneous test runs into the block, by a lock file."""
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
