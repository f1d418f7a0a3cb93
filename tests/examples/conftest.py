"""Examples, run by `local` as a user runs them: as they are, or a copy with changes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.trials.trial import CHECKOUT, Trial

LIMIT = 600
NOT_COPIED = shutil.ignore_patterns("local_output", ".runs", "__pycache__")


class Copy:
    """A copy of an example, with its input: to be changed and run."""

    def __init__(self, trial: Trial, folder):
        self.trial = trial
        self.folder = folder
        trial.get_input(trial.project / "input")
        shutil.copytree(trial.project, folder, ignore=NOT_COPIED)

    @property
    def output(self):
        return self.folder / "local_output"

    def set(self, **values):
        """Set values in config.py instead of its own."""
        with open(self.folder / "config.py", "a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value!r}\n" for name, value in values.items())

    def run(self, *groups, **shared):
        """Type `local` for these jobs, else the example's own; (exit code, output, errors)."""
        path = self.folder / self.trial.job_file
        jobs = json.loads(path.read_text(encoding="utf-8"))
        jobs.update(shared)
        jobs["groups"] = list(groups) or jobs["groups"]
        path.write_text(json.dumps(jobs), encoding="utf-8")
        words = ["--config", str(self.folder), "local", self.trial.job_file, "--workers", "2"]
        done = subprocess.run(
            [sys.executable, "run.py", *words],
            cwd=CHECKOUT,
            env={**os.environ, **self.trial.environment()},
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        return done.returncode, done.stdout, done.stderr

    def reasons(self, *groups, **shared):
        """Run jobs that must all fail; return their reasons by name."""
        self.set(JOB_RETRIES=1)
        code, out, err = self.run(*groups, **shared)
        assert code == 1, out + err
        found = {}
        for line in out.splitlines():
            if head := re.match(r"\d+ jobs?: (.+)", line):
                reason = head[1]
            elif job := re.match(r"  (\S+): attempt ", line):
                found[job[1]] = reason
        assert set(found) == {group["name"] for group in groups}, out + err
        return found


@pytest.fixture
def copy_of(tmp_path):
    """Copies an example, by its trial."""
    return lambda trial: Copy(trial, tmp_path / trial.name)
