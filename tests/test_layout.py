"""The house as it was planned: who may import whom, and that each module is worth its place."""

from __future__ import annotations

import ast
import functools
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each layer of control/ may import itself and those before it.
LAYERS = (
    ("command", "config", "errors", "model", "screen", "text"),
    ("explain", "user_files"),
    ("aws",),
    ("records",),
    ("reports",),
    ("monitoring",),
    ("checks",),
    ("cli", "verbs"),
)
# A module with fewer lines and a single importer is probably a part of that importer.
FEWEST_LINES = 80
SMALL_FOR_A_REASON = {
    "control.records.progress": "a pure estimate with tests of its own",
}


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """Return the modules that a file imports when it runs, dotted."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(_without_type_checking(ast.parse(path.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _without_type_checking(tree: ast.Module) -> ast.Module:
    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            name = node.test.id if isinstance(node.test, ast.Name) else ""
            return None if name == "TYPE_CHECKING" else self.generic_visit(node)

    return Drop().visit(tree)


def python_files(*folders: str) -> list[Path]:
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    # The programs that the examples need are not ours.
    return sorted(path for path in found if ".tools" not in path.parts)


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in python_files("control")}


def own(path: Path) -> set[str]:
    """Return the modules of control/ that a file imports."""
    return {name for name in imports(path) if name in MODULES and name != "control"}


def layer(module: str) -> int:
    room = module.split(".")[1]
    (found,) = (number for number, rooms in enumerate(LAYERS) if room in rooms)
    return found


def test_control_and_worker_share_no_code():
    for path in python_files("control"):
        assert not tops(path) & {"worker", "plumbing"}, path
    for path in python_files("worker"):
        assert not tops(path) & {"control", "embedded_aws", "run"}, path


def test_only_local_tests_and_benchmarks_use_the_embedded_aws():
    users = {module for module, path in MODULES.items() if "embedded_aws" in tops(path)}
    assert users == {"control.verbs.local.local"}


def test_the_embedded_aws_knows_nothing_of_control_or_worker():
    for path in python_files("embedded_aws"):
        assert not tops(path) & {"control", "plumbing", "worker", "run"}, path


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"control"}))
def test_a_module_of_control_imports_nothing_above_it(module):
    above = {other for other in own(MODULES[module]) if layer(other) > layer(module)}
    assert above == set()


def test_what_runs_in_the_lambda_imports_boto3_and_the_standard_library_only():
    """Its runtime has nothing else. Follow the imports of the handler."""
    allowed = {"boto3", "botocore", "control", "__future__"} | set(sys.stdlib_module_names)
    seen: set[str] = set()
    ahead = {"control.monitoring.auto_monitor"}
    while ahead:
        module = ahead.pop()
        seen.add(module)
        assert tops(MODULES[module]) <= allowed, module
        ahead |= own(MODULES[module]) - seen
    assert "control.aws.fleet" in seen


def test_the_worker_needs_boto3_and_the_standard_library_only():
    allowed = {"boto3", "botocore", "s3transfer", "urllib3", "plumbing"}
    for path in python_files("worker"):
        assert tops(path) <= allowed | set(sys.stdlib_module_names), path


@pytest.mark.parametrize("folder", ["control", "worker/plumbing", "embedded_aws"])
def test_a_small_module_with_one_importer_has_a_reason(folder):
    importers = defaultdict(set)
    users = [*python_files("control", "worker", "embedded_aws"), ROOT / "run.py"]
    for path in users:
        for name in imports(path):
            importers[name].add(path)
    small = set()
    for path in python_files(folder):
        name = dotted(path).removeprefix("worker.")
        lines = len(path.read_text(encoding="utf-8").splitlines())
        alone = len(importers[name] - {path}) == 1
        if alone and lines < FEWEST_LINES and path.stem not in ("__init__", "__main__"):
            small.add(name)
    assert small - SMALL_FOR_A_REASON.keys() == set()
