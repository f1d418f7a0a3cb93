#!/usr/bin/env python3
"""The command line: python run.py setup, submitJob, startCluster, monitor - and what helps them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

try:
    from control import cli
except ModuleNotFoundError as error:
    from control.errors import missing_package

    missing = missing_package(error)
    sys.stderr.write(f"Error: {missing.what}\nFix: {missing.fix}\n")
    sys.exit(missing.exit_code)

VERBS = {
    "setupAWS": "control.verbs.setup_aws",
    "setup": "control.verbs.setup",
    "submitJob": "control.verbs.submit",
    "retry": "control.verbs.retry",
    "startCluster": "control.verbs.start_cluster",
    "monitor": "control.verbs.monitor",
    "check": "control.verbs.check",
    "status": "control.verbs.status",
    "failures": "control.verbs.failures",
    "logs": "control.verbs.logs",
    "report": "control.verbs.report",
    "stop": "control.verbs.stop",
    "local": "control.verbs.local.local",
}


def main(argv: Sequence[str]) -> int:
    """Do the verb that was typed; return the exit code. Raise what cli.run_main explains."""
    run = cli.Verbs(VERBS, help="Run many independent jobs on spot machines of AWS.")
    return cli.invoke(run, "python run.py", argv)


if __name__ == "__main__":
    sys.exit(cli.run_main(main, sys.argv[1:]))
