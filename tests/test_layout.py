"""The house as it was planned: who may import whom."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each may import those before it. The first are the files of control/ itself.
FOLDERS = ("", "jobs", "services", "runs", "reports", "monitoring", "checks", "verbs")


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports when it runs, dotted."""
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
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def own(path: Path) -> set[tuple[str, str]]:
    """The modules of control that a file imports, as (folder, name)."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "control" and len(parts) > 1:
            folder = parts[1] if parts[1] in FOLDERS else ""
            found.add((folder, ".".join(parts[2:] if folder else parts[1:]).split(".")[0]))
    return {(folder, name) for folder, name in found if name}


def place(path: Path) -> tuple[str, str]:
    """(folder, name) of a file of control."""
    folder = path.parent.relative_to(ROOT / "control").as_posix()
    return ("" if folder == "." else folder), path.stem


def test_control_and_worker_share_no_code():
    for path in python_files("control"):
        assert not tops(path) & {"worker", "plumbing"}, path
    for path in python_files("worker"):
        assert not tops(path) & {"control", "embedded_aws", "run"}, path


def test_only_local_tests_and_benchmarks_use_the_embedded_aws():
    users = {p.name for p in python_files("control") if "embedded_aws" in tops(p)}
    assert users == {"local.py"}


def test_the_embedded_aws_knows_nothing_of_control_or_worker():
    for path in python_files("embedded_aws"):
        assert not tops(path) & {"control", "plumbing", "worker", "run"}, path


def test_every_folder_of_control_is_named_here():
    assert {place(path)[0] for path in python_files("control")} == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_control_imports_none_that_comes_after_it(folder):
    allowed = set(FOLDERS[: FOLDERS.index(folder) + 1])
    above = {
        f"{path.relative_to(ROOT)}: {other}"
        for path in python_files("control")
        if place(path)[0] == folder
        for other in own(path)
        if other[0] not in allowed
    }
    assert above == set()


def test_what_runs_in_the_lambda_imports_boto3_and_the_standard_library_only():
    """Its runtime has nothing else. Whatever the handler's imports import is looked at."""
    allowed = {"boto3", "botocore", "control", "__future__"} | set(sys.stdlib_module_names)
    seen: set[tuple[str, str]] = set()
    ahead = {("monitoring", "auto_monitor")}
    while ahead:
        folder, name = ahead.pop()
        seen.add((folder, name))
        path = ROOT / "control" / folder / f"{name}.py"
        assert tops(path) <= allowed, path
        ahead |= own(path) - seen
    assert ("services", "fleet") in seen


def test_the_worker_needs_boto3_and_the_standard_library_only():
    allowed = {"boto3", "botocore", "s3transfer", "urllib3", "plumbing"}
    for path in python_files("worker"):
        assert tops(path) <= allowed | set(sys.stdlib_module_names), path
