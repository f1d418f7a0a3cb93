"""The environment that leads commands to the AWS on this computer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from control.aws.session import _MARK

_WORKERS = "EMBEDDED_AWS_WORKERS"

_IMAGE = "EMBEDDED_AWS_IMAGE"


def workers() -> int:
    """How many workers that AWS was asked to run."""
    return int(os.environ.get(_WORKERS, "1"))


def image() -> str:
    """The image that it runs in containers; "" if it runs processes."""
    return os.environ.get(_IMAGE, "")


def take(base: Mapping[str, str], ours: Mapping[str, str], workers: int, image: str = "") -> None:
    """Make `ours` over `base` the environment of this process, and nothing else: none of the
    user's own AWS settings may lead a client elsewhere."""
    wanted = {**base, **ours, _MARK: "1", _WORKERS: str(workers), _IMAGE: image}
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def lines() -> list[str]:
    """What a shell has to be told so that its commands go to the AWS that this process uses."""
    # Where a proxy is set, nothing of this may go through it.
    ours = ("AWS_", _MARK, "NO_PROXY", "no_proxy")
    names = sorted(name for name in os.environ if name.startswith(ours))
    exports = [f"export {name}='{os.environ[name]}'" for name in names]
    return ["unset AWS_PROFILE AWS_SESSION_TOKEN", *exports]


@contextmanager
def file(folder: Path, lines: Sequence[str]) -> Iterator[str]:
    """A file with these lines for a shell to read, there for as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "local-aws.sh"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    try:
        yield os.path.relpath(path)
    finally:
        path.unlink(missing_ok=True)
