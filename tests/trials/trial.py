"""The definition of a trial of an example, and the run of one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from control.errors import ExplainedError

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"
JOBS = "files/exampleJob.json"


@dataclass(frozen=True)
class Trial:
    """An example on this computer.

    `missing()` says what is not here that it needs, "" if all is; `install()` brings that, or
    raises a UserError that says how to. `get_input(folder)` fills the project's input folder,
    without the net once it is installed. `check(output)` compares the result with what is known:
    it returns lines to show and raises WrongResult. `environment` is what the program needs.
    `of` is the example, if the trial has a name of its own.
    """

    name: str
    check: Callable[[Path], list[str]]
    missing: Callable[[], str] = lambda: ""
    install: Callable[[], None] = lambda: None
    get_input: Callable[[Path], None] = lambda folder: None
    environment: Callable[[], Mapping[str, str]] = dict
    job_file: str = JOBS
    of: str = ""

    @property
    def project(self) -> Path:
        return EXAMPLES / (self.of or self.name)


class WrongResult(ExplainedError):
    """The jobs were done, but what they made is not what is known to be right."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "Look into the job's outputs and log; this should not happen.")


def run(trial: Trial, more: Sequence[str] = ()) -> None:
    """Run the example's jobs by `run.py local`, and check the result. Raises ExplainedError.

    `more` is given to `local` as it is.
    """
    trial.get_input(trial.project / "input")
    output = trial.project / "local_output"
    shutil.rmtree(output, ignore_errors=True)
    words = ["--config", f"examples/{trial.project.name}", "local", trial.job_file, *more]
    print(f"$ python run.py {' '.join(words)}", flush=True)
    code = subprocess.run(
        [sys.executable, "run.py", *words],
        cwd=CHECKOUT,
        env={**os.environ, **trial.environment()},
        check=False,
    ).returncode
    if code:
        raise ExplainedError(f"{trial.name}: `local` ended with code {code}.", "See above.")
    for line in trial.check(output):
        print(line)
