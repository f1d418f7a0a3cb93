"""The worker runs on Python 3.8: what ruff (syntax) and vermin (the library) cannot see of it.

Neither knows the type of a value, so a new method of str or Path passes both, and so does a
generic type outside annotations.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

WORKER = Path(__file__).resolve().parents[2] / "worker"
FILES = sorted(WORKER.rglob("*.py"))
# From the "What's New" pages of 3.9 to 3.14: methods of str, bytes, int, Path, and of executors.
NEW_METHODS = {
    *("removeprefix", "removesuffix", "bit_count"),
    *("is_relative_to", "with_stem", "hardlink_to", "with_segments", "is_junction"),
    *("from_uri", "full_match", "copy_into", "move_into"),
}
GENERICS = {"dict", "list", "set", "frozenset", "tuple", "type", "deque", "Counter", "OrderedDict"}


def faults(tree: ast.AST) -> list[str]:
    """Return what would fail on 3.8 in code whose annotations are never evaluated."""
    found = []
    for node in ast.walk(_without_annotations(tree)):
        if isinstance(node, ast.Attribute) and node.attr in NEW_METHODS:
            found.append(f"line {node.lineno}: .{node.attr}")
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") in GENERICS:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def _without_annotations(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return tree


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(WORKER)) for path in FILES])
def test_the_worker_uses_nothing_newer_than_python_3_8(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))

    assert faults(tree) == []


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(WORKER)) for path in FILES])
def test_annotations_of_the_worker_are_not_evaluated(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    annotated = any(
        isinstance(node, ast.AnnAssign)
        or getattr(node, "annotation", None)
        or getattr(node, "returns", None)
        for node in ast.walk(tree)
    )
    promised = any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body
    )

    assert promised or not annotated


@pytest.mark.parametrize(
    "line", ["x = 'ab'.removeprefix('a')", "T = dict[str, int]", "def f(x=list[int]): pass"]
)
def test_what_is_newer_is_found(line):
    assert len(faults(ast.parse(line))) == 1


@pytest.mark.parametrize(
    "line", ["x: list[int] = []", "def f(x: dict[str, int]) -> set[int]: pass"]
)
def test_annotations_may_be_newer(line):
    assert faults(ast.parse(line)) == []
