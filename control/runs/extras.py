"""What a run costs beside its machines: estimates, each with how it was made.

The prices are those of us-east-1 in 2025 (the pricing pages of EBS, VPC, S3, SQS and CloudWatch).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MONTH_HOURS = 730
_GP3_GB_MONTH = 0.08
_ADDRESS_HOUR = 0.005
# Detailed monitoring of an instance: 7 metrics at $0.30 a month; its alarm: $0.10 a month.
_WATCHING_HOUR = (7 * 0.30 + 0.10) / _MONTH_HOURS
_S3_PUT = 0.005 / 1000
_S3_GET = 0.0004 / 1000
_S3_GB_MONTH = 0.023
_SQS_REQUEST = 0.40 / 1e6
_LOGS_GB = 0.50
_GB = 1e9
# Of the system itself, for a receive: log and record; done record looked for, message received,
# protected, deleted. A message is sent in a batch of ten.
_PUTS, _GETS, _MESSAGES = 2, 1, 2.1


@dataclass(frozen=True)
class Usage:
    """What jobs did that is paid for singly: receives, their seconds, outputs, bytes of logs."""

    receives: int = 0
    seconds: float = 0.0
    output_files: int = 0
    output_bytes: float = 0.0
    log_bytes: float = 0.0


@dataclass(frozen=True)
class Extra:
    """One line of the estimate; `monthly`: charged each month for as long as the data stays."""

    what: str
    dollars: float
    how: str
    monthly: bool = False


def estimate(settings: Mapping[str, Any], machine_hours: float, usage: Usage) -> list[Extra]:
    """What comes on top of the machines. Inputs read and data leaving the region are not in it:
    the records do not tell how much that was."""
    disk = max(22, int(settings["EBS_VOL_SIZE"]))
    renewals = usage.seconds / (int(settings["SQS_MESSAGE_VISIBILITY"]) / 3)
    requests = usage.receives * _MESSAGES + renewals
    puts = usage.receives * _PUTS + usage.output_files
    shown = min(usage.log_bytes, usage.receives * float(settings["LOG_MB_PER_JOB"]) * 1e6)
    found = [
        Extra(
            "Disks of the machines",
            machine_hours * disk * _GP3_GB_MONTH / _MONTH_HOURS,
            f"{disk} GB each, ${_GP3_GB_MONTH} a GB and month",
        ),
        Extra(
            "Detailed monitoring and alarms",
            machine_hours * _WATCHING_HOUR,
            f"${_WATCHING_HOUR:.4f} a machine and hour",
        ),
        Extra(
            "S3 requests",
            puts * _S3_PUT + usage.receives * _GETS * _S3_GET,
            f"{puts:,.0f} objects written; reading inputs comes on top",
        ),
        Extra(
            "SQS requests",
            requests * _SQS_REQUEST,
            f"{requests:,.0f} requests; workers that wait for jobs come on top",
        ),
        Extra("CloudWatch logs", shown / _GB * _LOGS_GB, f"${_LOGS_GB:.2f} a GB taken in"),
        Extra(
            "Storage of outputs and logs",
            (usage.output_bytes + usage.log_bytes) / _GB * _S3_GB_MONTH,
            f"S3 Standard, ${_S3_GB_MONTH} a GB and month, until you delete them",
            monthly=True,
        ),
    ]
    if settings["ASSIGN_IP"]:
        found.insert(1, Extra("Public addresses", machine_hours * _ADDRESS_HOUR, "$0.005 an hour"))
    return found


def once(extras: list[Extra]) -> float:
    """Dollars of what is not charged month by month."""
    return sum(extra.dollars for extra in extras if not extra.monthly)
