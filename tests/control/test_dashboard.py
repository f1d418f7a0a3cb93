import dataclasses
import json

from control import alarms, dashboard
from tests.conftest import new_run

RUN = dataclasses.replace(
    new_run("https://sqs/1/TestQueue"),
    cluster="ours",
    service="TestService",
    log_group="Test",
    fleets=[{"fleet_id": "sfr-1"}, {"fleet_id": ""}],
)


def test_widgets_lie_side_by_side_and_name_what_they_show():
    widgets = dashboard.body(RUN)["widgets"]
    places = [(w["x"], w["y"]) for w in widgets]
    assert len(set(places)) == len(places)
    assert all(w["x"] + w["width"] <= 24 for w in widgets)
    text = json.dumps(widgets)
    for name in ("sfr-1", "TestQueue", "TestService", "SOURCE 'Test'"):
        assert name in text


def test_messages_are_summed_and_not_averaged():
    finished = dashboard.body(RUN)["widgets"][2]["properties"]
    assert finished["metrics"][0][1] == "NumberOfMessagesDeleted" and finished["stat"] == "Sum"


def test_a_dashboard_is_made_and_removed(embedded):
    dashboard.put(embedded.cloudwatch, RUN)
    found = embedded.cloudwatch.get_dashboard(DashboardName="Test")
    assert json.loads(found["DashboardBody"]) == dashboard.body(RUN)
    dashboard.delete(embedded.cloudwatch, RUN)
    dashboard.delete(embedded.cloudwatch, RUN)


def test_alarms_end_idle_machines_and_are_found_again(embedded):
    alarms.put(embedded.cloudwatch, RUN, "i-1", vcpus=4)
    alarms.put(embedded.cloudwatch, RUN, "i-2", vcpus=96)
    names = alarms.of_run(embedded.cloudwatch, RUN)
    assert [name.rsplit("_", 1)[-1] for name in names] == ["i-1", "i-2"]
    found = embedded.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert [alarm["Threshold"] for alarm in found] == [1.0, 50 / 96]
    assert all(a["Period"] * a["EvaluationPeriods"] == 15 * 60 for a in found)
    assert found[0]["AlarmActions"] == ["arn:aws:automate:us-east-1:ec2:terminate"]
    alarms.delete(embedded.cloudwatch, names)
    assert alarms.of_run(embedded.cloudwatch, RUN) == []
