"""The dashboard against CloudWatch's "Dashboard body structure and syntax"."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from control.aws import cloudwatch
from tests.conftest import ROOT, entry_of, new_run

TEMPLATE = json.loads((ROOT / "files/dashboard.json").read_text())
RUN = dataclasses.replace(
    new_run("https://sqs/1/TestQueue"),
    dead_letter_url="https://sqs/1/TestDead",
    cluster="ours",
    service="TestService",
    log_group="Test",
    fleets=tuple(entry_of(fleet_id=name) for name in ("sfr-1", "", "sfr-2")),
)
# The fields of each object, with the values that they may take (API reference of CloudWatch:
# "Dashboard body structure and syntax"); * is a field that must be there.
BODY = {"start": str, "end": str, "periodOverride": ("auto", "inherit"), "widgets*": list}
WIDGET = {
    "type*": ("alarm", "explorer", "log", "metric", "text"),
    "x": range(24),
    "y": range(10**6),
    "width": range(1, 25),
    "height": range(1, 1001),
    "properties*": dict,
}
METRIC = {
    "metrics*": list,
    "region*": str,
    "title": str,
    "view": ("timeSeries", "singleValue", "gauge", "bar", "pie", "table"),
    "stacked": bool,
    "stat": re.compile("SampleCount|Average|Sum|Minimum|Maximum|p[0-9.]+"),
    "period": (1, 5, 10, 20, 30, *range(60, 86401, 60)),
    "yAxis": dict,
}
LOG = {
    "query*": str,
    "region*": str,
    "title": str,
    "view": ("table", "timeSeries", "bar", "pie"),
    "stacked": bool,
}
OPTIONS = {
    **{name: str for name in ("expression", "label", "color", "region")},
    "id": re.compile("[a-z][a-zA-Z0-9_]*"),
    "period": METRIC["period"],
    "stat": METRIC["stat"],
    "visible": bool,
    "yAxis": ("left", "right"),
}
MOST_WIDGETS, MOST_METRICS, MOST_DIMENSIONS = 500, 500, 30


def check(value, fields):
    """Fail unless the object has no other fields than these, and takes their values."""
    required = {name.rstrip("*") for name in fields if name.endswith("*")}
    known = {name.rstrip("*"): allowed for name, allowed in fields.items()}
    assert required <= value.keys() <= known.keys(), value
    for name, allowed in known.items():
        if name not in value:
            continue
        if isinstance(allowed, type):
            assert type(value[name]) is allowed, (name, value[name])
        elif isinstance(allowed, re.Pattern):
            assert allowed.fullmatch(value[name]), (name, value[name])
        else:
            assert value[name] in allowed, (name, value[name])


def check_metrics(rows):
    """Namespace, metric and dimensions in pairs, then the options; or an expression alone."""
    assert 0 < len(rows) <= MOST_METRICS
    ids = set()
    for row in rows:
        words = [word for word in row if isinstance(word, str)]
        options = row[len(words) :]
        assert len(options) <= 1
        for one in options:
            check(one, OPTIONS)
            ids.add(one.get("id"))
        if not words:
            assert "expression" in options[0]
        else:
            assert len(words) >= 2 and len(words) % 2 == 0
            assert (len(words) - 2) / 2 <= MOST_DIMENSIONS
    for row in rows:
        expression = row[0].get("expression", "") if isinstance(row[0], dict) else ""
        assert set(re.findall("[a-z][a-zA-Z0-9_]*", expression)) <= ids


@pytest.mark.parametrize("fleets", [(), RUN.fleets], ids=["no fleet", "fleets"])
def test_the_body_has_the_structure_that_cloudwatch_asks_for(fleets):
    body = cloudwatch.dashboard_body(dataclasses.replace(RUN, fleets=fleets), TEMPLATE)
    check(body, BODY)
    assert len(body["widgets"]) <= MOST_WIDGETS
    for widget in body["widgets"]:
        check(widget, WIDGET)
        assert widget["x"] + widget["width"] <= 24
        if widget["type"] == "metric":
            check(widget["properties"], METRIC)
            check_metrics(widget["properties"]["metrics"])
        else:
            assert widget["type"] == "log"
            check(widget["properties"], LOG)
            assert widget["properties"]["query"].startswith("SOURCE '")


def test_no_two_widgets_overlap():
    taken = [
        (x, y)
        for w in cloudwatch.dashboard_body(RUN, TEMPLATE)["widgets"]
        for x in range(w["x"], w["x"] + w["width"])
        for y in range(w["y"], w["y"] + w["height"])
    ]
    assert len(taken) == len(set(taken))


def test_every_placeholder_is_filled():
    text = json.dumps(cloudwatch.dashboard_body(RUN, TEMPLATE))
    assert not re.search(r"\{[a-z -]+\}", text)
    for name in ("sfr-1", "sfr-2", "TestQueue", "TestDead", "ours", "TestService", "SOURCE 'Test'"):
        assert name in text


@pytest.mark.parametrize(
    ("line", "is_shown"),
    [
        ("[plate1-A01] FAILED plate1-A01: exit code 1", True),
        ("FAILED plate1-A01: the message is no JSON", True),
        ("[plate1-A01] the program says FAILED", False),
        ("DONE plate1-A01", False),
    ],
)
def test_of_the_log_the_workers_own_lines_of_failures_are_shown(line, is_shown):
    query = cloudwatch.dashboard_body(RUN, TEMPLATE)["widgets"][-1]["properties"]["query"]
    pattern = re.search("like /(.+)/ \\|", query)[1]
    assert bool(re.search(pattern, line)) is is_shown


def test_what_is_shown():
    shown = {
        row[1]
        for widget in cloudwatch.dashboard_body(RUN, TEMPLATE)["widgets"]
        for row in widget["properties"].get("metrics", [])
        if isinstance(row[0], str)
    }
    assert {"TargetCapacity", "FulfilledCapacity"} <= shown
    assert {"ApproximateNumberOfMessagesVisible", "NumberOfMessagesDeleted"} <= shown
    assert {"CPUUtilization", "MemoryUtilization"} <= shown


def test_a_dashboard_is_made_and_removed(embedded):
    cloudwatch.put_dashboard(embedded.cloudwatch, RUN, TEMPLATE)
    assert cloudwatch.dashboard_exists(embedded.cloudwatch, RUN)
    found = embedded.cloudwatch.get_dashboard(DashboardName="Test")
    assert json.loads(found["DashboardBody"]) == cloudwatch.dashboard_body(RUN, TEMPLATE)
    cloudwatch.delete_dashboard(embedded.cloudwatch, RUN)
    cloudwatch.delete_dashboard(embedded.cloudwatch, RUN)
    assert not cloudwatch.dashboard_exists(embedded.cloudwatch, RUN)


def test_alarms_end_idle_machines_and_are_found_again(embedded):
    cloudwatch.put_alarm(embedded.cloudwatch, RUN, "i-1", vcpus=4)
    cloudwatch.put_alarm(embedded.cloudwatch, RUN, "i-2", vcpus=96)
    names = cloudwatch.alarms_of_run(embedded.cloudwatch, RUN)
    assert [name.rsplit("_", 1)[-1] for name in names] == ["i-1", "i-2"]
    found = embedded.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert [alarm["Threshold"] for alarm in found] == [1.0, 50 / 96]
    assert all(a["Period"] * a["EvaluationPeriods"] == 15 * 60 for a in found)
    assert found[0]["AlarmActions"] == ["arn:aws:automate:us-east-1:ec2:terminate"]
    tagged = embedded.cloudwatch.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
    assert {"Key": "distributed-something", "Value": "Test"} in tagged
    cloudwatch.delete_alarms(embedded.cloudwatch, names)
    assert cloudwatch.alarms_of_run(embedded.cloudwatch, RUN) == []
