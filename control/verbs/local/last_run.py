"""The last local run, for verbs that are typed after its AWS has ended."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from control import cli
from control.aws.session import leads_here
from control.command import typed
from control.config import Placeholder
from control.errors import ExplainedError, UserError
from control.model import utc
from control.records import store
from control.records.delivery import STATE_FOLDER
from control.text import format_minute

if TYPE_CHECKING:
    from control.config import Config
    from control.model import JobCounts

_NOTE = "local.json"
# A refusal or a fault of AWS itself is explained as such.
_NO_RUN = (NoCredentialsError, store.NoRun, Placeholder)


def remember(
    config: Config,
    output: Path,
    counts: JobCounts | None = None,
    report: Path | None = None,
) -> None:
    """Leave the note: the folder of results and, of a single run, how it ended, and its report."""
    ended = format_minute(utc(time.time()))
    note: dict[str, Any] = {"output": str(output.resolve()), "ended": ended}
    if counts and report:
        note |= {"jobs": counts.in_words(), "report": str(report.resolve())}
        note |= {"failed": counts.failed}
    path = config.project / STATE_FOLDER / _NOTE
    # A project that cannot be written to is run all the same: the note is a help, not a result.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


@contextlib.contextmanager
def explained(where: Path) -> Iterator[None]:
    """Explain the error of a block in which a verb looks for its run and finds none on AWS.

    If the last run in the project at `where` was `local`, the error says where its results are.
    """
    try:
        yield
    except Exception as error:
        here = leads_here()
        if not isinstance(error, EndpointConnectionError if here else _NO_RUN):
            raise
        note = _newest(where if where.is_dir() else where.parent)
        if not note:
            raise
        failure = cli.explain(error)
        if here:
            raise ExplainedError(f"{failure.what} {_left(note)}", failure.fix) from error
        jobs = f", {note['jobs']}" if "jobs" in note else ""
        raise UserError(
            f"The last run here was on this computer (ended {note['ended']}{jobs}), and its AWS is "
            f"gone. {_left(note)} No run on AWS itself was found: {failure.what}",
            "To use `failures`, `logs` and `retry` with runs on this computer, keep its AWS up and "
            f"run its jobs there: {typed('local', 'JOBFILE --serve')}",
        ) from error


def _newest(project: Path) -> Mapping[str, Any]:
    """Return the note, unless jobs were submitted to another AWS since."""
    folder = project / STATE_FOLDER
    try:
        noted = (folder / _NOTE).stat().st_mtime
        if any(path.stat().st_mtime > noted for path in folder.glob("*/*")):
            return {}
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and Path(note.get("output", "")).is_dir() else {}


def _left(note: Mapping[str, Any]) -> str:
    output = os.path.relpath(note["output"])
    if "report" not in note:
        return f"Its results, reports and the logs of failed jobs are in {output}/."
    report = os.path.relpath(note["report"])
    logs = ", with the logs of failed jobs next to it in logs/" if note.get("failed") else ""
    return f"Its results are in {output}/, its report is {report}{logs}."
