"""documentation/troubleshooting.md quotes what the commands show, word for word."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import ROOT
from tests.control.explain.tables import TABLES, filled

PAGE = ROOT / "documentation/troubleshooting.md"
HEAD = "| situation | message | fix |"


def row(situation, reason):
    """Return the line of a table: what differs from case to case is left open."""
    explained = filled(reason)
    return f"| {situation or 'anything else'} | {explained.what} | {explained.fix} |"


def texts():
    """Yield all texts of the program, with three dots for the values in them."""
    folders = ("control", "worker", "embedded_aws")
    for path in (one for folder in folders for one in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    one.value if isinstance(one, ast.Constant) else "..." for one in node.values
                )
                yield "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"{[^{}]*}", "...", node.value)


@pytest.mark.parametrize("table", TABLES)
def test_every_reason_is_on_the_page_as_it_is_shown(table):
    page = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [row(situation, reason) for situation, reason in TABLES[table].items()]
    assert "\n".join(line for line in rows if line not in page) == ""


def test_nothing_is_on_the_page_that_is_never_shown():
    shown = {row(name, reason) for table in TABLES.values() for name, reason in table.items()}
    _, page = PAGE.read_text(encoding="utf-8").split("## Every reason")
    lines = re.findall(r"(?m)^\| .* \| .* \| .* \|$", page)
    assert [line for line in lines if line not in shown] == [HEAD] * len(TABLES)


def test_the_messages_quoted_at_the_top_are_messages_of_the_program():
    top, _ = PAGE.read_text(encoding="utf-8").split("\n## ", 1)
    quoted = re.findall(r"(?m)^\| `([^`]*)` \|", top)
    assert len(quoted) > 5
    every = list(texts())
    parts = {quote: [part.strip() for part in quote.split("...")] for quote in quoted}
    patterns = {quote: ".*".join(map(re.escape, found)) for quote, found in parts.items()}
    assert [
        q for q, pattern in patterns.items() if not any(re.search(pattern, t) for t in every)
    ] == []
