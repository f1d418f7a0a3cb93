"""The tables of documentation/troubleshooting.md say what the commands say, word for word."""

from __future__ import annotations

import re

import pytest

from control.explain import check_findings, no_job, no_machine
from tests.conftest import ROOT

PAGE = ROOT / "documentation/troubleshooting.md"
TABLES = {
    "run": no_job.RUN,
    "machines": no_job.MACHINES,
    "history": no_machine.EVENTS,
    "containers": {**no_job.CONTAINERS, **no_job.PLACEMENT, **no_job.STOPPED},
    "refusals": no_job.REFUSED,
    "check": check_findings.FOUND,
}


def row(situation, reason):
    """A line of a table: what differs from case to case is left open."""
    cells = (situation or "anything else", reason.sentence, reason.cure)
    return f"| {' | '.join(re.sub(r'{[^}]*}', '...', cell) for cell in cells)} |"


@pytest.mark.parametrize("table", TABLES)
def test_every_reason_stands_on_the_page_as_it_is_said(table):
    page = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [row(situation, reason) for situation, reason in TABLES[table].items()]
    assert "\n".join(line for line in rows if line not in page) == ""


def test_nothing_stands_on_the_page_that_is_never_said():
    said = {row(name, reason) for table in TABLES.values() for name, reason in table.items()}
    _, page = PAGE.read_text(encoding="utf-8").split("## Every reason")
    told = re.findall(r"(?m)^\| .* \| .* \| .* \|$", page)
    heads = ["| situation | what is said | what to do |"] * len(TABLES)
    assert [line for line in told if line not in said] == heads
