"""Reasons are for people: no code looks for words in the sentences that control/ shows."""

from __future__ import annotations

import ast

from tests.conftest import ROOT

# Attributes, keys and variables that hold a sentence of ours.
SENTENCES = {"what", "fix", "reason", "end_reason", "reasons", "unfinished"}
# Methods of a text, or of a pattern, that look for words in it.
OF_TEXT = {"startswith", "endswith", "find", "index", "count", "partition", "split", "replace"}
OF_PATTERN = {"search", "match", "fullmatch", "findall", "finditer", "sub"}
# What the user looks for in the reasons: `retry --reason TEXT`, and the patterns by which reasons
# are grouped for display.
CHOSEN_BY_THE_USER = {"control/verbs/retry.py", "control/records/failure_groups.py"}


def is_sentence(node):
    """Tell whether an expression is a sentence, or a call of lower() and the like on one."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        node = node.func.value
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value in SENTENCES
    return isinstance(node, ast.Attribute) and node.attr in SENTENCES


def decisions(tree):
    """Yield the lines that search for words in a sentence."""
    for node in ast.walk(tree):
        looked_in = []
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            looked_in = node.comparators
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in OF_TEXT and node.args:
                looked_in = [node.func.value]
            elif node.func.attr in OF_PATTERN:
                looked_in = node.args
        if any(is_sentence(one) for one in looked_in):
            yield node.lineno


def test_nothing_is_decided_by_the_words_of_our_own_sentences():
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / "run.py", *(ROOT / "control").rglob("*.py"))
        if str(path.relative_to(ROOT)) not in CHOSEN_BY_THE_USER
        for line in decisions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_such_decisions_are_found():
    code = """
if "word" in error.what: pass
if x not in record["reason"].lower(): pass
re.search("word", run.end_reason)
PATTERN.fullmatch(one.fix)
error.fix.startswith("Run")
error.what.rstrip(".")
"word" in error.names
error.what == other.what
"""
    assert list(decisions(ast.parse(code))) == [2, 3, 4, 5, 6]
