"""python -m tests.trials NAME: run an example with its real program and check the result."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from control import command
from tests.trials import cellprofiler, fiji, hello_world, ome_zarr, variant_calling
from tests.trials.trial import run

MODULES = (hello_world, fiji, ome_zarr, cellprofiler, variant_calling)
TRIALS = {trial.name: trial for trial in (*(module.TRIAL for module in MODULES), cellprofiler.FULL)}


def main(argv: Sequence[str]) -> None:
    """Parse the command line and do it; what follows a `--` is given to `run.py local`.

    Raises ExplainedError.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    parser = command.Parser(prog="-m tests.trials", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[*TRIALS], help="default: all")
    parser.add_argument("--install", action="store_true", help="only install what it needs")
    args = parser.parse_args(argv[:end])
    chosen = [TRIALS[args.name]] if args.name else [*TRIALS.values()]
    for trial in chosen:
        if trial.missing():
            trial.install()
        if not args.install:
            run(trial, argv[end + 1 :])


if __name__ == "__main__":
    sys.exit(command.run_main(main, sys.argv[1:]))
