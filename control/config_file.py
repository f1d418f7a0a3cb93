"""Running config.py: the names that it sets, or the line on which it breaks off."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from control.errors import UserError

_PYTHON_WRITES = {"true": "True", "false": "False", "none": "None", "null": "None"}


def run(path: Path) -> dict[str, Any]:
    """Every name that the file sets. Raises UserError with the line if it cannot be run."""
    if not path.is_file():
        raise UserError(
            f"{path}: there is no such config file.",
            "Run this in the folder that holds config.py, or name it: --config FILE_OR_FOLDER.",
        )
    if path.suffix == ".json":
        raise UserError(
            f"{path} is a JSON file; --config names a config.py or the folder that holds it.",
            "Name that. A job file stands behind the verb: python run.py local "
            "files/exampleJob.json",
        )
    try:
        return runpy.run_path(str(path))
    except SyntaxError as error:
        raise UserError(
            f"{path}, line {error.lineno}: {error.msg}.",
            "Often a quote, bracket or comma is missing on that line or the one before.",
        ) from None
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{path}, line {_line_of(error, path)}: {type(error).__name__}: {error}.", _fix(error)
        ) from None


def _fix(error: BaseException) -> str:
    if isinstance(error, NameError) and error.name in _PYTHON_WRITES:
        return f"Write {_PYTHON_WRITES[error.name]} there, as Python does."
    return "Correct that line: every setting is NAME = value, and may use names set above it."


def _line_of(error: BaseException, path: Path) -> int | str:
    line: int | str = "?"
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
