"""Reasons: the meaning of a symptom and its fix, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from control.command import COMMANDS
from control.errors import ExplainedError, UserError


@dataclass(frozen=True)
class Explained:
    """A reason with its values filled in; `next` is the first command of `fix`, "" if none."""

    situation: str
    what: str
    fix: str
    next: str
    waiting_helps: bool
    passing: bool
    exit_code: int

    def __str__(self) -> str:
        return f"{self.what} {self.fix}"

    def error(self) -> ExplainedError:
        """Return the error of these two lines; a UserError if it is the user's mistake."""
        kind = UserError if self.exit_code == UserError.exit_code else ExplainedError
        return kind(self.what, self.fix)


@dataclass(frozen=True)
class Reason:
    """The meaning of a symptom and its fix: texts with placeholders for values.

    A placeholder of `fix` that is a verb stands for its command: "{retry:--unfinished}".
    `waiting_helps`: it may pass by itself. `passing`: nothing is wrong yet.
    """

    what: str
    fix: str
    waiting_helps: bool = False
    passing: bool = False
    exit_code: int = ExplainedError.exit_code

    def fill(self, situation: str, **values: object) -> Explained:
        """Return the reason with its values, and with the commands of this project."""
        known = {**values, **COMMANDS}
        return Explained(
            situation,
            self.what.format_map(known),
            self.fix.format_map(known),
            self._first_command(known),
            self.waiting_helps,
            self.passing,
            self.exit_code,
        )

    def _first_command(self, known: Mapping[str, object]) -> str:
        for _, name, arguments, _ in Formatter().parse(self.fix):
            if name in COMMANDS:
                return format(COMMANDS[name], (arguments or "").format_map(known))
        return ""


def classify(text: str, words: Mapping[str, str]) -> str:
    """Return the symptom of the first of AWS's words that are in a text of AWS, "" for none."""
    text = text.lower()
    return next((symptom for word, symptom in words.items() if word.lower() in text), "")
