"""A report made from records, and report.json."""

from __future__ import annotations

import dataclasses
import json

import pytest

from control.model import seconds
from control.reports.data import Attempts, as_json
from control.reports.make import write_report
from tests.conftest import config_of
from tests.report_example import BEGAN, TIME, failed, make, record


def test_the_counts():
    found = make([record(i) for i in range(8)], [failed(8)], submitted=12)
    assert (found.submitted, found.done, found.failed, found.unfinished) == (12, 8, 1, 3)
    assert (found.skipped, found.cancelled) == (0, 0)
    assert (found.began, found.made) == ("2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z")


def test_cancelled_jobs_are_neither_failed_nor_unfinished():
    found = make([record(1)], submitted=4, cancelled=2)
    assert (found.done, found.cancelled, found.failed, found.unfinished) == (1, 2, 0, 1)
    assert sum(found.progress.cancelled) == 2


def test_failed_jobs_are_counted_by_cause():
    failures = [failed(1), failed(2, "took longer", cause="timeout"), failed(3, cause="timeout")]
    assert make([], failures).failed_by_cause == {"timeout": 2, "exit_code": 1}


def test_how_long_jobs_took_and_what_they_used():
    found = make([record(i) for i in range(100)]).jobs
    assert found.seconds.median == 149.0
    assert found.seconds.most == 199.0
    assert sum(found.seconds.histogram.counts) == 100
    assert found.memory_mb.most == 1099.0
    assert found.cores.mean == pytest.approx(0.35, abs=0.02)
    assert found.download_share == pytest.approx(1000 / 14_950)
    assert found.upload_share == pytest.approx(500 / 14_950)


def test_progress_adds_up():
    found = make([record(i) for i in range(30)], [failed(99)]).progress
    assert sum(found.done) == 30 and sum(found.failed) == 1 and sum(found.skipped) == 0
    assert len(found.done) == len(found.failed) <= 122
    begin = seconds(found.begin)
    assert begin <= BEGAN + 60 < begin + found.step


def test_failures_are_grouped_with_an_example():
    missing = failed(9, "s3://a/b does not exist", cause="missing_input")
    groups = make([], [*(failed(i) for i in range(3)), missing]).failures
    assert [(g.cause, g.reason, g.jobs) for g in groups] == [
        ("exit_code", "tool exited with code 3", 3),
        ("missing_input", "s3://a/b does not exist", 1),
    ]
    assert groups[0].example == "job-0"
    assert groups[0].log_key.endswith("0.1.1.exit_code.failed.json")


def test_what_it_cost():
    prices = {"m5.xlarge us-east-1a": [(BEGAN, 0.10), (BEGAN + 3600, 0.20)]}
    found = make([record(1)], machine_time=TIME, prices=prices)
    assert found.cost.machines == pytest.approx(0.30)
    assert found.cost.machine_hours == 2.0
    assert found.cost.others_once > 0
    assert found.machines.up == (1.0, 1.0)
    # 101 of 7,200 seconds, on two places.
    assert found.machines.busy_share == pytest.approx(101 / 14_400, abs=1e-4)


def test_without_a_price_the_cost_is_not_known():
    assert make([record(1)], machine_time=TIME).cost.machines is None
    assert make().cost.machines is None


def test_time_of_attempts_that_failed_counts_as_work():
    lost = [failed(1, seconds=300.0), record(2, state="interrupted", seconds=100.0)]
    found = make([record(1)], lost=lost, machine_time=TIME)
    assert found.attempts == Attempts(failed=1, interrupted=1, seconds=400.0)
    assert found.machines.busy_share == pytest.approx(501 / 14_400, abs=1e-4)


@pytest.mark.parametrize(
    "done",
    [
        [],
        [{}],
        [record(1, seconds=0)],
        [record(1, seconds="long", cpu_seconds=None, peak_memory_mb=float("nan"))],
        [record(i, last_lines="no list", reason=7, job_name=None) for i in range(10)],
    ],
    ids=["none", "empty", "no time", "no numbers", "no texts"],
)
def test_strange_records_make_a_report_too(done):
    found = make(done, [{**one, "state": "failed"} for one in done])
    json.dumps(as_json(found), allow_nan=False)


def test_halves_of_characters_and_control_characters_can_be_stored():
    found = make([], [failed(1, "broke \ud800 \x00\x1b[31m here", job_name="a\nb")])
    json.dumps(as_json(found), ensure_ascii=False).encode()
    (group,) = found.failures
    assert (group.reason, group.example) == ("broke     [31m here", "a b")


def test_a_report_stays_small():
    failures = [failed(i, f"{chr(97 + i % 26)}{chr(97 + i // 26)} broke" * 400) for i in range(600)]
    found = make([record(i) for i in range(4000)], failures, machine_time=TIME)
    assert len(json.dumps(as_json(found))) < 100_000
    assert len(found.failures) == 50


def test_numbers_in_json_have_at_most_six_decimals():
    shares = as_json(make([record(1)], machine_time=TIME))["machines"]
    assert shares["busy_share"] == 0.007014


def test_the_settings_that_ran_are_in_it():
    found = make()
    assert as_json(found)["settings"]["MEMORY"] == 4000
    assert found.owner == "me"


def test_write_puts_it_next_to_the_records(aws, run):
    run = dataclasses.replace(
        run,
        config=config_of(JOB_TIMEOUT=3600),
        ended="2026-01-02T00:00:00Z",
    )
    body = json.dumps(record(1)).encode()
    aws.s3.put_object(Bucket=run.bucket, Key=f"{run.prefix}records/{1:016x}.done.json", Body=body)
    made = write_report(aws, run, BEGAN)
    stored = aws.s3.get_object(Bucket=run.bucket, Key=f"{run.prefix}report.json")["Body"].read()
    assert json.loads(stored) == as_json(made)
    assert made.done == 1 and made.ended == "2026-01-02T00:00:00Z"
