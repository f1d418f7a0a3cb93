"""python -m tests.trials NAME: run an example with its real program and check the result."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from control import cli
from tests.trials import cellprofiler, fiji, hello_world, ome_zarr, variant_calling
from tests.trials.trial import run

MODULES = (hello_world, fiji, ome_zarr, cellprofiler, variant_calling)
TRIALS = {trial.name: trial for trial in (*(module.TRIAL for module in MODULES), cellprofiler.FULL)}


def main(argv: Sequence[str]) -> int:
    """Run the chosen examples; what follows a `--` is passed to `run.py local`.

    Raise ExplainedError if one fails.
    """
    end = argv.index("--") if "--" in argv else len(argv)

    @cli.command("tests.trials")
    @click.argument("name", metavar="[NAME]", required=False, type=cli.one_of(TRIALS))
    @click.option("--install", is_flag=True, help="only install what it needs")
    def command(where: Path, name: str | None, install: bool) -> None:
        """Run an example, or all of them, with its real program and check the result."""
        for trial in [TRIALS[name]] if name else TRIALS.values():
            if trial.missing():
                trial.install()
            if not install:
                run(trial, argv[end + 1 :])

    return cli.invoke(command, "python -m tests.trials", argv[:end])


if __name__ == "__main__":
    sys.exit(cli.run_main(main, sys.argv[1:]))
