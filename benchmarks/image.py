#!/usr/bin/env python3
"""The worker's image: seconds to build it, and the MB that each part adds to its base.

    python benchmarks/image.py [--base IMAGE] [--turns 5]

The engine and the base image are those of tests/containers: docker or podman, and Debian 12 in
place of what FROM names, made or loaded before the first measurement. Medians of the turns, except
for one build without cache.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.containers import bases  # noqa: E402
from tests.containers import engine as engines  # noqa: E402
from tests.containers.engine import Engine  # noqa: E402

IMAGE = "localhost/distributed-something-benchmark:image"
MB = 1e6
# A word in the command of a layer -> what is in the layer; the first match counts.
LAYERS = {
    "useradd": "user, links",
    "s3fs": "s3fs, to mount a bucket",
    "apt-get": "Python",
    "/opt/distributed-something": "the worker's packages",
    "/home/ubuntu": "the worker's own files",
}
# The packages that only the AWS CLI needs.
AWS_CLI = "awscli* docutils* colorama* rsa* pyasn1* *yaml* *YAML*"
SITE_PACKAGES = "/opt/distributed-something/lib/python3*/site-packages"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="", help="an image that is on this computer")
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    engine = engines.find()
    os.environ.update(engine.environ)
    base = args.base or bases.provide(engine, "bookworm")
    with tempfile.TemporaryDirectory() as name:
        ignored = shutil.ignore_patterns("__pycache__")
        worker = shutil.copytree(ROOT / "worker", Path(name) / "worker", ignore=ignored)
        show_builds(engine, worker, base, args.turns)
        show_sizes(engine, base)
    engine.run("rmi", "--force", IMAGE)


def show_builds(engine: Engine, worker: Path, base: str, turns: int) -> None:
    """Build the image without cache, again, and after edits of generic-worker.py."""

    def seconds(*options: str) -> float:
        began = time.perf_counter()
        engine.build(worker, IMAGE, base, *options)
        return time.perf_counter() - began

    def edited(turn: int) -> float:
        with open(worker / "generic-worker.py", "a") as file:
            file.write(f"# Edit {turn} of process {os.getpid()}.\n")
        return seconds()

    print(f"{'build':32}{'seconds':>10}")
    print(f"{'without cache':32}{seconds('--no-cache'):10.1f}")
    print(f"{'nothing changed':32}{_median(lambda _: seconds(), turns):10.2f}")
    print(f"{'generic-worker.py edited':32}{_median(edited, turns):10.2f}", flush=True)


def show_sizes(engine: Engine, base: str) -> None:
    """Print what the image adds to its base, unpacked and compressed as for a registry."""
    rows: dict[str, int] = {}
    for size, command in added_layers(engine, base):
        name = next((name for word, name in LAYERS.items() if word in command), "user, links")
        rows[name] = rows.get(name, 0) + size
    packages = rows.pop("the worker's packages")
    cli = _disk_use(engine, AWS_CLI)
    rows |= {"AWS CLI": cli, "boto3 and what it needs": packages - cli}
    print(f"\n{'added to the base':32}{'MB':>10}")
    for name, size in sorted(rows.items(), key=lambda row: -row[1]):
        print(f"{name:32}{size / MB:10.1f}")
    print(f"{'all':32}{(engine.size(IMAGE) - engine.size(base)) / MB:10.1f}")
    compressed = packed(engine, IMAGE) - packed(engine, base)
    print(f"{'all, compressed':32}{compressed / MB:10.1f}")
    print(f"{'the base itself':32}{engine.size(base) / MB:10.1f}", flush=True)


def added_layers(engine: Engine, base: str) -> list[tuple[int, str]]:
    """Return size in bytes and command of each layer above the base."""

    def history(image: str) -> list[tuple[int, str]]:
        if engine.name == "podman":
            rows = json.loads(engine.run("history", "--format", "json", image).stdout)
            return [(row["size"], row["CreatedBy"]) for row in rows]
        words = ("history", "--no-trunc", "--human=false", "--format", "{{json .}}", image)
        rows = [json.loads(line) for line in engine.run(*words).stdout.splitlines()]
        return [(int(row["Size"]), row["CreatedBy"]) for row in rows]

    every = history(IMAGE)
    return every[: len(every) - len(history(base))]


def _disk_use(engine: Engine, names: str) -> int:
    """Return the bytes of files and folders among the worker's packages."""
    script = f"cd {SITE_PACKAGES} && du -cb {names} | tail -n 1 | cut -f 1"
    return int(engine.run("run", "--rm", "--entrypoint", "sh", IMAGE, "-c", script).stdout)


def packed(engine: Engine, image: str) -> int:
    """Return the bytes of an image, compressed as for a registry."""
    command = [*engine.command, "save", image]
    pack = zlib.compressobj(6)
    size = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read(1 << 20):
            size += len(pack.compress(chunk))
    return size + len(pack.flush())


def _median(measure: Callable[[int], float], turns: int) -> float:
    return statistics.median(measure(turn) for turn in range(turns))


if __name__ == "__main__":
    main()
