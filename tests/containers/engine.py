"""A container engine for the tests: podman or docker, whichever works on this machine.

podman gets a configuration and a store of its own, in a cache folder: nothing of the developer's
images is touched, and it also runs where the machine itself is a container that may not raise its
limits. DISTRIBUTED_SOMETHING_CACHE names another folder than ~/.cache/distributed-something.
"""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# What building an image or loading a base may take on a busy machine with a slow network.
LONGEST_SECONDS = 900.0
# More open files or processes than that no test needs; a container's limit must be below its
# machine's, and podman's own default may be above.
_MOST_FILES = 4096
# Where a machine's own certificates are in a build, if its packages come through a proxy.
_CERTIFICATES = "/run/certificates.pem"
_FROM = re.compile(r"^FROM\s+\S+", re.MULTILINE | re.IGNORECASE)


class NoEngine(Exception):
    """There is no engine that works; the text says why."""


@dataclass(frozen=True)
class Engine:
    """A container engine that was seen to work.

    `command` is what to type, such as ["podman"]; `environ` must be in the environment of it, and
    of every program that starts it (`run.py local --container`).
    """

    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """podman or docker."""
        return Path(self.command[0]).name

    def run(
        self,
        *arguments: str,
        check: bool = True,
        seconds: float = LONGEST_SECONDS,
        inside: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of the engine, such as run("ps", "-a").

        A command that fails is an AssertionError with all that it said, unless `check` is False.
        `inside` comes before it: ["nsenter", ...] runs it in another network.
        """
        ended = subprocess.run(
            [*inside, *self.command, *arguments],
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
        said = f"{' '.join(arguments)}: exit code {ended.returncode}\n{ended.stdout}{ended.stderr}"
        assert not check or ended.returncode == 0, said
        return ended

    def has(self, image: str) -> bool:
        """Return whether an image with that name is in the store."""
        return self.run("image", "inspect", image, check=False).returncode == 0

    def build(self, context: Path, tag: str, base: str = "", *options: str) -> str:
        """Build the Dockerfile of a folder, from `base` instead of what it names first.

        Returns `tag`. `options` are the engine's own, such as "--no-cache".
        """
        text = (context / "Dockerfile").read_text()
        if base:
            text, found = _FROM.subn(f"FROM {base}", text, count=1)
            assert found, f"{context}/Dockerfile has no FROM"
        with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as file:
            file.write(text)
            file.flush()
            self.run("build", *options, "-t", tag, "-f", file.name, str(context))
        return tag

    def size(self, image: str) -> int:
        """Return the size of an unpacked image in bytes."""
        return int(self.run("image", "inspect", "-f", "{{.Size}}", image).stdout)


def cache_folder() -> Path:
    """Return the folder that keeps base images and podman's store between runs."""
    named = os.environ.get("DISTRIBUTED_SOMETHING_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "distributed-something"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def find() -> Engine:
    """Return the engine of this machine: podman if it works, else docker. Raise NoEngine."""
    reasons = []
    if shutil.which("podman"):
        podman = Engine(["podman"], _podman_environ(cache_folder() / "podman"))
        asked = podman.run("info", check=False)
        if asked.returncode == 0:
            return podman
        reasons.append(f"podman does not work ({_last_line(asked.stderr)})")
    if shutil.which("docker"):
        docker = Engine(["docker"])
        asked = docker.run("info", "--format", "{{.ServerVersion}}", check=False)
        if asked.returncode == 0 and asked.stdout.strip():
            return docker
        reasons.append(f"docker's daemon does not answer ({_last_line(asked.stderr)})")
    raise NoEngine("; ".join(reasons) or "neither docker nor podman is installed")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no answer"])[-1]


def _podman_environ(folder: Path) -> dict[str, str]:
    """Write podman's configuration into a folder; returns the variables that name it."""
    folder.mkdir(exist_ok=True)
    _write(folder / "containers.conf", _containers_conf(folder))
    run = folder / "run"
    if os.geteuid() == 0:
        run = Path("/run/distributed-something")
        if os.environ.get("DISTRIBUTED_SOMETHING_CACHE"):
            # What is mounted now is counted there: two stores must not share it.
            run = run.with_name(f"{run.name}-{hashlib.sha256(bytes(folder)).hexdigest()[:8]}")
    storage = ["[storage]", 'driver = "overlay"', f'graphroot = "{folder / "storage"}"']
    _write(folder / "storage.conf", "\n".join([*storage, f'runroot = "{run}"', ""]))
    return {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }


def _containers_conf(folder: Path) -> str:
    files = _limit(resource.RLIMIT_NOFILE)
    processes = _limit(resource.RLIMIT_NPROC)
    lines = [
        "[containers]",
        # What a container reaches at 127.0.0.1 is this machine, as the embedded AWS needs it.
        'netns = "host"',
        # Both or none: one alone takes the other's default, which may be above what is allowed.
        f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]',
    ]
    certificates = _own_certificates()
    if certificates:
        pip = folder / "pip.conf"
        _write(pip, f"[global]\ncert = {_CERTIFICATES}\n")
        volumes = [f"{pip}:/etc/pip.conf:ro", f"{certificates}:{_CERTIFICATES}:ro"]
        lines.append(f"volumes = [{', '.join(repr(each) for each in volumes)}]".replace("'", '"'))
    lines.append("[engine]")
    # Where there is no systemd that could make groups for containers.
    lines += ['cgroup_manager = "cgroupfs"', 'events_logger = "file"']
    if shutil.which("runc"):
        # The other one, crun, refuses to run where versions 1 and 2 of cgroups are mixed.
        lines.append('runtime = "runc"')
    return "\n".join([*lines, ""])


def _limit(which: int) -> int:
    hard = resource.getrlimit(which)[1]
    return _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)


def _own_certificates() -> str:
    """The certificates that pip is told to use on this machine; "" if there are none."""
    named = os.environ.get("PIP_CERT") or os.environ.get("REQUESTS_CA_BUNDLE") or ""
    return named if Path(named).is_file() else ""


def _write(path: Path, text: str) -> None:
    """Replaced at once: another run may be reading it."""
    if path.exists() and path.read_text() == text:
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
