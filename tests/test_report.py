"""The verb `report`, as it is typed, and the reports that monitor leaves."""

from __future__ import annotations

import json
import re

import pytest

import run
from control import cli
from control.records import store
from control.reports.report_model import as_json
from control.verbs import monitor
from tests import report_example
from tests.conftest import QUICK, ROOT
from tests.report_example import PRICES, TIME, failed, record


@pytest.fixture
def typed(capsys, monkeypatch):
    """A function that types a command; returns exit code, standard output, standard error."""
    monkeypatch.setattr(monitor, "Pace", lambda: QUICK)

    def type_(*argv):
        code = cli.run_main(run.main, [str(word) for word in argv])
        out, err = capsys.readouterr()
        return code, out, err

    return type_


@pytest.fixture
def recorded(set_up):
    """A run that is set up, with three done jobs and a failed one: (clients, config, run)."""
    aws, config, the_run = set_up()
    found = [record(i) for i in range(3)] + [failed(3)]
    for one in found:
        state = f"{one['cause']}.failed" if one["cause"] else "done"
        key = f"{the_run.prefix}records/{one['job_id']}.{state}.json"
        aws.s3.put_object(Bucket=the_run.bucket, Key=key, Body=json.dumps(one).encode())
    key = f"{the_run.prefix}submitted/0001-000001-new4-again0.jsonl.gz"
    aws.s3.put_object(Bucket=the_run.bucket, Key=key, Body=b"")
    return aws, config, the_run


def test_a_report_is_made_in_mid_run(recorded, typed):
    _, config, the_run = recorded
    code, out, err = typed("--config", config.path, "report")
    assert (code, err) == (0, "")
    path = config.project / "reports" / f"{the_run.app_name}-{the_run.run_id}.html"
    assert "4 jobs have ended; the run is about to end" in path.read_text(encoding="utf-8")
    assert "tool exited with code 3" in path.read_text(encoding="utf-8")
    assert path.name in out and out.splitlines()[-1].endswith(" failures")
    assert "\x1b" not in out


def test_it_goes_where_one_says(recorded, typed, tmp_path):
    _, config, _ = recorded
    code, out, _ = typed("report", "--config", config.path, "--output", tmp_path / "new/page.html")
    assert code == 0 and "page.html" in out
    assert (tmp_path / "new/page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_as_json_it_is_nothing_but_json(recorded, typed, tmp_path):
    _, config, _ = recorded
    code, out, err = typed("--config", config.path, "report", "--json")
    found = json.loads(out)
    assert (code, err, found["done"], found["failed"]) == (0, "", 3, 1)
    path = tmp_path / "report.json"
    code, out, _ = typed("--config", config.path, "report", "--json", "--output", path)
    assert code == 0 and json.loads(path.read_text())["failed"] == 1 and out == ""


def test_a_file_that_cannot_be_written_is_the_users_mistake(recorded, typed, tmp_path):
    _, config, _ = recorded
    (tmp_path / "file").write_text("")
    code, _, err = typed("--config", config.path, "report", "--output", tmp_path / "file/page.html")
    assert code == 2
    assert (
        "page.html cannot be written: " in err
        and "is not a folder." in err
        and "--output FILE" in err
    )


def test_before_setup_there_is_nothing_to_report(embedded, project, typed):
    code, _, err = typed("--config", project().path, "report")
    assert code == 1 and "has not been set up" in err


def test_a_run_that_was_only_set_up_has_a_report(set_up, typed):
    _, config, the_run = set_up()
    code, out, _ = typed("--config", config.path, "report")
    assert code == 0 and out.splitlines()[-1].endswith(" status")
    path = config.project / "reports" / f"{the_run.app_name}-{the_run.run_id}.html"
    assert "No job has been submitted." in path.read_text(encoding="utf-8")


def test_monitor_leaves_a_report_on_s3_and_here(recorded, typed):
    aws, config, the_run = recorded
    where = json.dumps(
        {
            "MONITOR_BUCKET_NAME": the_run.bucket,
            "MONITOR_APP_NAME": the_run.app_name,
            "MONITOR_RUN_ID": the_run.run_id,
        }
    )
    path = config.project / "monitor.json"
    path.write_text(where)
    code, out, err = typed("--config", config.path, "monitor", path)
    assert code == 1 and "1 of 4 jobs failed" in err
    page = config.project / "reports" / f"{the_run.app_name}-{the_run.run_id}.html"
    assert page.name in out
    stored = aws.s3.get_object(Bucket=the_run.bucket, Key=f"{the_run.prefix}report.html")
    assert stored["ContentType"] == "text/html"
    assert stored["Body"].read() == page.read_bytes()
    data = aws.s3.get_object(Bucket=the_run.bucket, Key=f"{the_run.prefix}report.json")
    found = json.loads(data["Body"].read())
    assert (found["submitted"], found["done"], found["failed"]) == (4, 3, 1)
    assert (
        found["ended"] == store.load(aws.s3, the_run.bucket, the_run.app_name, the_run.run_id).ended
    )
    # After the end, too, and with nothing left to do.
    code, out, _ = typed("--config", config.path, "report")
    assert code == 0 and "The run has ended: 1 of 4 jobs failed." in page.read_text("utf-8")


def paths(value, base=""):
    """Yield the names of all parts of a JSON value, as documentation/json.md writes them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{base}.{name}" if base else name)
    elif isinstance(value, list):
        yield f"{base}[]"
        for inner in value:
            if isinstance(inner, dict):
                yield from paths(inner, f"{base}[]")
    else:
        yield base


def test_the_documentation_names_all_that_the_json_holds_and_no_more():
    text = (ROOT / "documentation/json.md").read_text(encoding="utf-8")
    section = text.split("\n## report\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)
    named = {name for name, _ in rows}
    done = [record(i, cpu_seconds=5.0) for i in range(20)]
    report = report_example.make(done, [failed(30)], machine_time=TIME, prices=PRICES)
    found = as_json(report)
    json.dumps(found, allow_nan=False)
    spreads = ("seconds", "memory_mb", "cores", "disk_mb")
    held = {re.sub(rf"^jobs\.({'|'.join(spreads)})\.", "jobs.*.", path) for path in paths(found)}
    held = {path for path in held if not path.startswith(("settings.", "failed_by_cause."))}
    # Named as wholes, too.
    wholes = {
        "progress",
        "jobs",
        "failed_by_cause",
        "settings",
        *(f"jobs.{name}" for name in spreads),
    }
    assert held | wholes == named
