"""The forecast of a run's cost."""

from __future__ import annotations

import dataclasses
import json

import pytest

from control.aws.spot_prices import Prices
from control.records import costs
from control.records.costs import Before
from tests.conftest import config_of

PRICES = Prices(low=0.06, high=0.07, lowest=0.05, highest=0.10)
CONFIG = config_of(DOCKER_CORES=4)


def put_report(aws, run, run_id, content):
    key = f"runs/{run.app_name}/{run_id}/report.json"
    aws.s3.put_object(Bucket=run.bucket, Key=key, Body=json.dumps(content).encode())


def of(mean):
    return {"jobs": {"seconds": {"mean": mean}} if mean else None}


def test_the_first_run_of_an_app_tells_nothing(aws, run):
    assert costs.forecast(aws.s3, run, 100, PRICES) == ""


def test_the_newest_earlier_run_with_done_jobs_tells_how_long_they_take(aws, run):
    put_report(aws, run, "20250101T000000Z", of(60.0))
    put_report(aws, run, "20250201T000000Z", of(360.0))
    put_report(aws, run, "20250301T000000Z", of(None))
    put_report(aws, run, "20990101T000000Z", of(1.0))
    aws.s3.put_object(Bucket=run.bucket, Key=f"runs/{run.app_name}/20250501T000000Z/run.json")
    assert costs.last_run_with_report(aws.s3, run) == Before("20250201T000000Z", 360.0)


@pytest.mark.parametrize("content", ["", [], {"jobs": 3}, {"jobs": {"seconds": {"mean": "x"}}}])
def test_a_report_of_another_kind_forecasts_nothing(aws, run, content):
    put_report(aws, run, "20250101T000000Z", content)
    assert costs.last_run_with_report(aws.s3, run) is None


@pytest.mark.parametrize(
    ("limit", "dollars"), [(None, "$5.00 to $10.00"), (0.08, "$5.00 to $8.00"), (0.02, "$2.00")]
)
def test_the_range_is_that_of_30_days_of_prices(limit, dollars):
    config = dataclasses.replace(CONFIG, MACHINE_PRICE=limit)
    assert costs.forecast_in_words(config, 4000, Before("20250201T000000Z", 360.0), PRICES) == (
        "Expected: 4,000 jobs of 6 min each, as in run 20250201T000000Z, fill 100.0 "
        f"machine-hours: {dollars} at the spot prices of 30 days."
    )
