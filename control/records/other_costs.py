"""The costs of a run besides machines: disks, addresses, requests, logs and storage, estimated."""

from __future__ import annotations

from dataclasses import dataclass

from control.config import Config

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
# Requests of the system itself for a receive: the record is put; the done record is checked; the
# message is received and deleted. A message is sent in a batch of ten.
_PUTS, _GETS, _MESSAGES = 1, 1, 2.1


@dataclass(frozen=True)
class Usage:
    """Work that has a price of its own: receives, their seconds, outputs, bytes of logs."""

    receives: int = 0
    seconds: float = 0.0
    output_files: int = 0
    output_bytes: float = 0.0
    log_bytes: float = 0.0


@dataclass(frozen=True)
class OtherCost:
    """One line of the estimate; `monthly` if it is charged each month while the data is kept."""

    what: str
    dollars: float
    how: str
    monthly: bool = False


def estimate(config: Config, machine_hours: float, usage: Usage) -> list[OtherCost]:
    """Return the costs apart from the machines.

    Reading inputs and data that leaves the region are missing: the records do not show how much
    that was.
    """
    disk = max(22, config.EBS_VOL_SIZE)
    renewals = usage.seconds / (config.SQS_MESSAGE_VISIBILITY / 3)
    requests = usage.receives * _MESSAGES + renewals
    puts = usage.receives * _PUTS + usage.output_files
    shown = min(usage.log_bytes, usage.receives * config.LOG_MB_PER_JOB * 1e6)
    found = [
        OtherCost(
            "Disks of the machines",
            machine_hours * disk * _GP3_GB_MONTH / _MONTH_HOURS,
            f"{disk} GB each, ${_GP3_GB_MONTH} a GB and month",
        ),
        OtherCost(
            "Detailed monitoring and alarms",
            machine_hours * _WATCHING_HOUR,
            f"${_WATCHING_HOUR:.4f} a machine and hour",
        ),
        OtherCost(
            "S3 requests",
            puts * _S3_PUT + usage.receives * _GETS * _S3_GET,
            f"{puts:,.0f} objects written; reading inputs comes on top",
        ),
        OtherCost(
            "SQS requests",
            requests * _SQS_REQUEST,
            f"{requests:,.0f} requests; workers that wait for jobs come on top",
        ),
        OtherCost("CloudWatch logs", shown / _GB * _LOGS_GB, f"${_LOGS_GB:.2f} a GB taken in"),
        OtherCost(
            "Storage of outputs and logs",
            (usage.output_bytes + usage.log_bytes) / _GB * _S3_GB_MONTH,
            f"S3 Standard, ${_S3_GB_MONTH} a GB and month, until you delete them",
            monthly=True,
        ),
    ]
    if config.ASSIGN_IP:
        found.insert(
            1,
            OtherCost(
                "Public addresses", machine_hours * _ADDRESS_HOUR, f"${_ADDRESS_HOUR} an hour"
            ),
        )
    return found


def one_time(extras: list[OtherCost]) -> float:
    """Return the sum of the costs that are not monthly."""
    return sum(extra.dollars for extra in extras if not extra.monthly)
