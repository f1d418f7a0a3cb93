"""A JSON file that a user wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from control.errors import UserError
from control.text import file_like, files_in


def read(path: Path, kind: str, example: str) -> Any:
    """Return the content of a file. Raise UserError if it is missing, or is not JSON.

    `kind` is what people call it, such as "job"; `example` is one that works.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such {kind} file.",
            file_like(path)
            or f"Check the name; {kind} files are usually in files/, such as {example}.",
        ) from None
    except IsADirectoryError:
        inside = files_in(path, ".json")
        raise UserError(
            f"{path} is a folder, not a file.",
            f"Name a file in it, such as {inside}." if inside else "Name a JSON file.",
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file ({error}).", "Name a JSON file.") from None
    if not text.strip():
        raise UserError(f"{path} is empty.", f"Copy {example} and edit it.")
    try:
        return json.loads(text)
    except RecursionError:
        raise UserError(
            f"{path}: its values are nested too deeply to be read.",
            "Put fewer lists and objects into each other.",
        ) from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}: {error.msg}.",
            "Often a comma or quote is missing on that line or the one before.",
        ) from None
