"""Seeded mutants: change one place of the code at a time and see whether a test fails.

    python -m tests.mutants --number 60 --seed 1 [--tree FOLDER] [--jobs 2]

The tests that name the changed module run first, then all others of `make test`; the first failure
kills the mutant. Print a line a mutant, and at the end those that survived.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

COMPARED = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is},
}
COMPUTED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
PLACES = ("control", "worker/plumbing")
SECONDS = 1800
# More than enough for tests that a mutant makes wait forever.
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no", "--dist", "loadfile")


class Site(NamedTuple):
    """A place that can be changed: its file, and the number of its node in ast.walk."""

    path: Path
    node: int
    line: int
    change: str


def sites(root: Path) -> Iterator[Site]:
    """Yield every place of the code that can be changed, in order."""
    for place in PLACES:
        for path in sorted((root / place).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for number, node in enumerate(ast.walk(tree)):
                change = describe(node)
                if change:
                    yield Site(path.relative_to(root), number, node.lineno, change)


def describe(node: ast.AST) -> str:
    """Return what `mutate` does to a node; "" if nothing."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        return f"{type(node.ops[0]).__name__} -> {COMPARED[type(node.ops[0])].__name__}"
    if isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        return f"{type(node.op).__name__} -> {COMPUTED[type(node.op)].__name__}"
    if isinstance(node, ast.BoolOp):
        return "and <-> or"
    if isinstance(node, ast.If | ast.IfExp):
        return "condition negated"
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant):
        return "another value returned" if isinstance(node.value.value, bool) else ""
    return ""


def mutate(node: ast.AST) -> None:
    """Change a node in its place."""
    if isinstance(node, ast.Compare):
        node.ops[0] = COMPARED[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp):
        node.op = COMPUTED[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), copy.deepcopy(node.test))
    elif isinstance(node, ast.Return):
        node.value = ast.Constant(not node.value.value)


def near(root: Path, site: Site) -> list[str]:
    """Return the test files that name the changed module, those of its own name first."""
    name = site.path.stem
    names = re.compile(rf"\b{name}\b")
    found = [
        path
        for path in sorted((root / "tests").rglob("test_*.py"))
        if path.parts[-2] not in ("containers", "with_programs", "faults")
        and names.search(path.read_text(encoding="utf-8"))
    ]
    found.sort(key=lambda path: name not in path.stem)
    return [str(path.relative_to(root)) for path in found]


def passes(root: Path, files: list[str], jobs: int) -> bool:
    """Run tests, all of `make test` if none are named; a run that hangs has not passed."""
    command = [sys.executable, "-m", "pytest", *OPTIONS, "-n", str(jobs), *files]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def survives(root: Path, site: Site, jobs: int) -> bool:
    """Change the place, run the tests, and put it back."""
    path = root / site.path
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    mutate(list(ast.walk(tree))[site.node])
    path.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf-8")
    try:
        files = near(root, site)
        return (not files or passes(root, files, jobs)) and passes(root, [], jobs)
    finally:
        path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tree", type=Path, default=Path(__file__).parent.parent)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        ignored = shutil.ignore_patterns(".git", ".venv", ".tools", "*_output", "__pycache__")
        shutil.copytree(options.tree, root, ignore=ignored)
        # Where a test fails anyway every mutant would count as killed.
        if not passes(root, [], options.jobs):
            sys.exit("The tests fail without any change: fix that first.")
        chosen = random.Random(options.seed).sample(list(sites(root)), options.number)
        survivors = []
        for site in chosen:
            alive = survives(root, site, options.jobs)
            survivors += [site] * alive
            word = "SURVIVED" if alive else "killed"
            print(f"{word:9} {site.path}:{site.line} {site.change}", flush=True)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} killed")


if __name__ == "__main__":
    main()
