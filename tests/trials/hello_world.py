"""hello_world needs nothing but the system's own `echo`."""

from __future__ import annotations

from pathlib import Path

from tests.trials.trial import Trial, WrongResult

KNOWN = {
    "pizza-vanilla": "Hello, Ada here. I like pizza, and then vanilla ice cream.\n",
    "dal-mango": "Hello, Ada here. I like dal, and then mango ice cream.\n",
    "soup-lemon": "Hello, Ada here. I like soup, and then lemon ice cream.\n",
}


def check(output: Path) -> list[str]:
    """Check that each job has written its sentence."""
    for job, text in KNOWN.items():
        path = output / "hello" / job / "HelloWorld.txt"
        if not path.is_file() or path.read_text() != text:
            raise WrongResult(f"{path} does not say what it should.")
    return [text.strip() for text in KNOWN.values()]


TRIAL = Trial("hello_world", check)
