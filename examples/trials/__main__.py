"""python -m examples.trials NAME: run an example with its real program and check the result."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from control import command
from examples.trials import cellprofiler, fiji, hello_world, ome_zarr, variant_calling
from examples.trials.trial import run

MODULES = (hello_world, fiji, ome_zarr, cellprofiler, variant_calling)
TRIALS = {trial.name: trial for trial in (*(module.TRIAL for module in MODULES), cellprofiler.FULL)}


def main(argv: Sequence[str]) -> None:
    """Parse the command line and do it. Raises ExplainedError."""
    parser = command.Parser(prog="-m examples.trials", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[*TRIALS], help="default: all quick ones")
    parser.add_argument("--install", action="store_true", help="only install what it needs")
    parser.add_argument("more", nargs="*", help="after --: given to `run.py local`")
    args = parser.parse_args(argv)
    chosen = [TRIALS[args.name]] if args.name else [t for t in TRIALS.values() if t.quick]
    for trial in chosen:
        if trial.missing():
            trial.install()
        if not args.install:
            run(trial, args.more)


if __name__ == "__main__":
    sys.exit(command.run_main(main, sys.argv[1:]))
