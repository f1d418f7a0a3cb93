"""CONTRIBUTING.md: the places that it names exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TABLE = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE.split("| to change | open |")[1], re.MULTILINE)
ROWS = {what: places for what, places in TABLE if not what.startswith("---")}
# `file.py`: `Name`, `other_name`
PLACE = re.compile(r"`([\w./-]+)`(?:: ((?:`\w+`(?:, )?)+))?")


def defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_some_twenty_changes_have_their_place():
    assert len(ROWS) >= 20


@pytest.mark.parametrize("what", ROWS)
def test_the_named_places_exist(what):
    places = PLACE.findall(ROWS[what])
    assert places
    for path, names in places:
        assert (ROOT / path).exists(), path
        wanted = set(re.findall(r"\w+", names))
        if wanted:
            there = defined(ast.parse((ROOT / path).read_text(encoding="utf-8")))
            assert wanted <= there, f"{path}: {wanted - there}"
