"""Check quotas, prices and placement scores of spot machines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control.aws import tags
from control.aws.ec2 import MachineType
from control.aws.spot_prices import price_history
from control.checks.findings import Finding, Subject, failed, not_checkable, passed, unknown, warned
from control.explain import aws_errors
from control.text import several

# The quotas of spot machines, in vCPUs, by the letters that their machine types begin with
# (Service Quotas, Amazon EC2; EC2 guide, using-spot-limits).
_STANDARD = ("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests")
_QUOTAS = {
    **dict.fromkeys((*"acdhimrtz", "im", "is"), _STANDARD),
    "g": ("L-3819A6DF", "All G and VT Spot Instance Requests"),
    "vt": ("L-3819A6DF", "All G and VT Spot Instance Requests"),
    "p": ("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
    "inf": ("L-B5D1601B", "All Inf Spot Instance Requests"),
    "trn": ("L-6B0D517C", "All Trn Spot Instance Requests"),
    "dl": ("L-85EED4F7", "All DL Spot Instance Requests"),
    "f": ("L-88CF9481", "All F Spot Instance Requests"),
    "x": ("L-E3A00192", "All X Spot Instance Requests"),
}
# Error code in place of a quota -> its name in explain/check_findings.py.
_NO_QUOTA = {"NoSuchResourceException": "quota not listed", "AccessDenied": "quota not read"}
_DAY = 24 * 3600
_UP = ("pending", "running")
# AWS rates from 1 to 10 (API reference of GetSpotPlacementScores).
_POOR_SCORE = 3
_MOSTLY = 0.9


def quota_of(machine_type: str) -> tuple[str, str] | None:
    """Return (code, name) of the quota that a machine type counts for; None if not known here."""
    family = re.match(r"[a-z]+", machine_type)
    return _QUOTAS.get(family[0]) if family else None


def quota(subject: Subject) -> Iterator[Finding]:
    """Compare each quota with the need of CLUSTER_MACHINES, after the use of others."""
    by_quota: dict[tuple[str, str], list[MachineType]] = {}
    for kind in subject.types:
        known = quota_of(kind.name)
        if known is None:
            yield unknown("quota", f"which quota {kind.name} counts for is not known here")
        else:
            by_quota.setdefault(known, []).append(kind)
    if not subject.types:
        yield unknown("quota", "no machine type is known")
    for (code, name), kinds in by_quota.items():
        yield _quota(subject, code, name, kinds)


def _quota(subject: Subject, code: str, name: str, kinds: list[MachineType]) -> Finding:
    least, most = (of(k.vcpus for k in kinds) for of in (min, max))
    machines = subject.config.CLUSTER_MACHINES
    needs = machines * most
    words: dict[str, object] = {"quota": name, "machines": machines}
    try:
        answer = subject.aws.quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)
    except ClientError as error:
        found = _NO_QUOTA.get(aws_errors.code_of(error))
        if found is None:
            raise
        words |= {"permission": aws_errors.permission(error), "region": subject.config.AWS_REGION}
        return not_checkable("quota", found, **words, needs=needs)
    limit = int(answer["Quota"]["Value"])
    used = _vcpus_of_others(subject, code)
    words |= {"limit": limit, "used": used}
    free = limit - used
    if free < least:
        smallest = next(k.name for k in kinds if k.vcpus == least)
        return failed("quota", "no quota", **words, type=smallest, needs=least)
    if free < needs:
        return warned("quota", "small quota", **words, fit=free // most)
    return passed("quota", f"{name}: {limit} vCPUs, {used} in use, {needs} needed")


def _vcpus_of_others(subject: Subject, code: str) -> int:
    """Count the vCPUs of running spot machines of this quota that are not this app's."""
    wanted: Any = [
        {"Name": "instance-lifecycle", "Values": ["spot"]},
        {"Name": "instance-state-name", "Values": list(_UP)},
    ]
    ours = {"Key": tags.APP_TAG, "Value": subject.config.APP_NAME}
    used = 0
    pages = subject.aws.ec2.get_paginator("describe_instances").paginate(Filters=wanted)
    for page in pages:
        for machine in (i for r in page["Reservations"] for i in r["Instances"]):
            known = quota_of(machine["InstanceType"])
            if known and known[0] == code and ours not in machine.get("Tags", []):
                cpu = machine.get("CpuOptions", {})
                used += cpu.get("CoreCount", 1) * cpu.get("ThreadsPerCore", 1)
    return used


def price(subject: Subject) -> Iterator[Finding]:
    """Compare the spot prices of the last day with MACHINE_PRICE and MAX_HOURLY_COST."""
    names = [kind.name for kind in subject.types]
    history = price_history(subject.aws.ec2, names, subject.now - _DAY, subject.now)
    found = [price for changes in history.values() for _, price in changes]
    if not found:
        yield unknown("price", "EC2 lists no spot price for these machine types")
        return
    low, high = min(found), max(found)
    words = {"low": low, "high": high}
    config = subject.config
    both = ("MACHINE_PRICE", config.MACHINE_PRICE), ("MAX_HOURLY_COST", config.MAX_HOURLY_COST)
    limits = {setting: limit for setting, limit in both if limit is not None}
    below = {setting: limit for setting, limit in limits.items() if limit < low}
    for setting, limit in below.items():
        yield failed("price", "price", setting=setting, limit=limit, **words)
    limit = limits.get("MACHINE_PRICE", high)
    share = sum(one <= limit for one in found) / len(found)
    if low <= limit and share < _MOSTLY:
        yield warned("price", "price close", limit=limit, share=f"{share:.0%}", **words)
    elif not below:
        span = f"${low:.3f}" if low == high else f"${low:.3f} to ${high:.3f}"
        named = ", ".join(f"{setting} = {limit:g}" for setting, limit in limits.items())
        what = f"{span} a machine and hour in the last day; {named or 'no limit is set'}"
        yield passed("price", what)


def score(subject: Subject) -> Iterator[Finding]:
    """Report AWS's own rating of the chance to get that many machines."""
    names = [kind.name for kind in subject.types]
    if not names:
        yield unknown("placement score", "no machine type is known")
        return
    machines = subject.config.CLUSTER_MACHINES
    answer = subject.aws.ec2.get_spot_placement_scores(
        InstanceTypes=names,
        TargetCapacity=machines,
        TargetCapacityUnitType="units",
        RegionNames=[subject.config.AWS_REGION],
    )
    scores = [one["Score"] for one in answer.get("SpotPlacementScores", [])]
    if not scores:
        yield unknown("placement score", "AWS gives none for these machine types")
        return
    words = {"machines": several(machines, "machine"), "score": max(scores)}
    if max(scores) <= _POOR_SCORE:
        yield warned("placement score", "score", **words)
    else:
        yield passed("placement score", f"{max(scores)} of 10 for {words['machines']}")
