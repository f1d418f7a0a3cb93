"""The house as it was planned: who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST_FILE = 300
SERVICES = {
    *("account", "account_runs", "actions", "alarms", "cluster", "dashboard", "ending"),
    *("extras", "finding", "fleet", "fleet_request", "forecast", "given_up", "leftovers"),
    *("listing", "logs", "machine_time", "machines", "monitor_function", "notify"),
    *("observation", "policies", "prices", "queues", "records", "report", "report_reading"),
    *("roles", "schedules", "spending", "spot_prices", "submitted", "tallies"),
    *("task_definitions",),
}
UNDER_ALL = {
    *("config_file", "errors", "fleet_reasons", "reasons", "reasons_check", "reasons_idle"),
    *("setting_types", "settings", "suggestions"),
}
# Of one thing only, and needed by verbs and services alike: data, decisions, the screen.
BESIDE = {
    *("advice", "alike", "cheapest", "checks", "checks_account", "checks_image", "checks_jobs"),
    *("checks_machines", "checks_market", "checks_network", "decision", "environment"),
    *("figures", "fitting", "fleet_file", "grid", "hourly_limit", "idle", "image_name"),
    *("image_parts", "job_file", "jobs", "journal", "local_environment", "local_files"),
    *("local_worker", "monitor_file", "observed", "orders", "progress", "report_charts"),
    *("report_page", "report_summary", "run_state", "scaling", "screen", "sending", "step"),
    *("survey", "tables", "tags", "template", "units", "waiting", "words"),
}
VERBS = {
    *("auto_monitor", "check", "command", "failures", "job_logs", "local", "monitor"),
    *("report_files", "retry", "setup", "setup_aws", "start_cluster", "status", "stop"),
    *("submit", "usage"),
}
# What the auto-monitor's Lambda takes along: its runtime has boto3 and the standard library.
IN_LAMBDA = {
    *("actions", "advice", "alarms", "alike", "auto_monitor", "cheapest", "cluster"),
    *("dashboard", "decision", "ending", "errors", "extras", "figures", "fleet"),
    *("fleet_reasons", "given_up", "hourly_limit", "idle", "jobs", "listing", "machine_time"),
    *("monitor_function", "notify", "observation", "observed", "orders", "queues", "reasons"),
    *("reasons_idle", "records", "report", "report_reading", "scaling", "schedules", "spending"),
    *("spot_prices", "step", "tags", "task_definitions", "units", "words"),
}


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
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    # What the examples' trials have installed is not ours.
    return sorted(path for path in found if ".tools" not in path.parts)


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def own(path: Path) -> set[str]:
    """The modules of control that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("control.")}


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


def test_every_part_of_control_is_named_here_or_is_a_verb():
    """A new file belongs into one of these sets, or is one more thing that run.py does."""
    found = {p.stem for p in python_files("control")} - {"__init__"}
    assert found == SERVICES | UNDER_ALL | BESIDE | VERBS
    for one, other in itertools.combinations((SERVICES, UNDER_ALL, BESIDE, VERBS), 2):
        assert not one & other


def test_services_import_no_verbs():
    for name in sorted(SERVICES):
        assert not own(ROOT / f"control/{name}.py") & VERBS, name


def test_what_is_under_all_imports_nothing_above_it():
    for name in sorted(UNDER_ALL):
        assert own(ROOT / f"control/{name}.py") <= UNDER_ALL, name


@pytest.mark.parametrize("name", sorted(IN_LAMBDA))
def test_what_runs_in_the_lambda_imports_boto3_and_the_standard_library_only(name):
    import sys

    path = ROOT / f"control/{name}.py"
    allowed = {"boto3", "botocore", "control", "__future__"} | set(sys.stdlib_module_names)
    assert tops(path) <= allowed
    assert own(path) <= IN_LAMBDA | {"machines", "account", "settings", "roles", "fleet_file"}


def test_the_worker_needs_boto3_and_the_standard_library_only():
    import sys

    allowed = {"boto3", "botocore", "s3transfer", "urllib3", "plumbing"}
    for path in python_files("worker"):
        assert tops(path) <= allowed | set(sys.stdlib_module_names), path


def test_no_file_is_long():
    files = python_files("control", "worker", "embedded_aws", "examples")
    files += [ROOT / "run.py", ROOT / "run_batch_general.py"]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in files
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert long == {}
