"""Costs apart from machines."""

from __future__ import annotations

import pytest

from control.records import other_costs
from control.records.other_costs import Usage
from tests.conftest import config_of

CONFIG = config_of(EBS_VOL_SIZE=100, LOG_MB_PER_JOB=10.0)


def dollars(config, hours, usage):
    return {one.what: one.dollars for one in other_costs.estimate(config, hours, usage)}


def test_what_machines_take_along_costs_by_the_hour():
    found = dollars(CONFIG, 730.0, Usage())
    assert found["Disks of the machines"] == pytest.approx(8.0)
    assert found["Public addresses"] == pytest.approx(3.65)
    assert found["Detailed monitoring and alarms"] == pytest.approx(2.20)
    assert found["S3 requests"] == found["SQS requests"] == found["CloudWatch logs"] == 0


def test_without_public_addresses_none_is_paid():
    assert "Public addresses" not in dollars(config_of(ASSIGN_IP=False), 1.0, Usage())


def test_requests_and_storage_grow_with_the_jobs():
    usage = Usage(
        receives=1_000_000, seconds=1e8, output_files=8_000_000, output_bytes=1e12, log_bytes=0.0
    )
    found = dollars(CONFIG, 0.0, usage)
    assert found["S3 requests"] == pytest.approx(9_000_000 * 0.000005 + 1_000_000 * 0.0000004)
    # A renewal every 100 seconds.
    assert found["SQS requests"] == pytest.approx((2_100_000 + 1_000_000) * 0.0000004)
    assert found["Storage of outputs and logs"] == pytest.approx(23.0)


def test_logs_cost_as_far_as_they_go_to_cloudwatch():
    usage = Usage(receives=10, log_bytes=1e12)
    assert dollars(CONFIG, 0.0, usage)["CloudWatch logs"] == pytest.approx(0.05)


def test_what_is_paid_each_month_is_not_in_the_sum():
    found = other_costs.estimate(CONFIG, 0.0, Usage(output_bytes=1e12))
    assert other_costs.one_time(found) == 0.0
    assert [one.what for one in found if one.monthly] == ["Storage of outputs and logs"]
