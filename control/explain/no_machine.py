"""Reasons why EC2 starts no machine: events of a fleet's history -> symptom -> reason."""

from __future__ import annotations

from collections.abc import Iterable

from control.explain.reason import Explained, Reason, classify

_AGAIN = ", then: {stop} && {setup} && {startCluster}"
_MORE_TYPES = (
    "(to watch: {status:--watch}), or put more types into MACHINE_TYPE in config.py" + _AGAIN
)
_CONTINUE = "Continue with the jobs that are left: {startCluster}"
# Words of a fleet's events -> symptom; the first that fits counts: a description is closer to the
# cause than the event's type (botocore: ec2.EventInformation; EC2 API reference, error codes).
_WORDS = {
    # It only repeats what other events report.
    "allLaunchSpecsTemporarilyBlacklisted": "",
    "InsufficientInstanceCapacity": "no capacity",
    "UnfulfillableCapacity": "no capacity",
    "MaxSpotInstanceCountExceeded": "quota used up",
    "VcpuLimitExceeded": "quota used up",
    "spotInstanceCountLimitExceeded": "quota used up",
    "maximum total price": "price above limit",
    "SpotMaxPriceTooLow": "price above limit",
    "launchSpecUnusable": "price above limit",
    "fleetProgressHalted": "price above limit",
    "InvalidKeyPair": "no key pair",
    "InvalidAMIID": "no machine image",
    "InvalidSubnet": "no subnet",
    "InsufficientFreeAddresses": "no free address",
    "InvalidGroup": "no security group",
    "instance profile": "no instance profile",
    "InvalidSnapshot": "small disk",
    "requested configuration is currently not supported": "type not offered",
    "iamFleetRoleInvalid": "fleet role invalid",
    "UnauthorizedOperation": "fleet role refused",
    "spotFleetRequestConfigurationInvalid": "request invalid",
    "launchSpecTemporarilyBlacklisted": "launch failed",
    "expired": "request expired",
    "cancelled": "request cancelled",
}
REASONS: dict[str, Reason] = {
    "no capacity": Reason(
        "AWS has no spot machines of these types available right now: {message}",
        "Wait, the request stays " + _MORE_TYPES,
        waiting_helps=True,
    ),
    "quota used up": Reason(
        "Your account's quota of spot machines, which counts vCPUs, is used up: {message}",
        "Wait until other machines of the account have ended (to watch: {status:--watch}), or "
        "request a higher quota at Service Quotas ('All Standard Spot Instance Requests'; G, P and "
        "other types have their own).",
        waiting_helps=True,
    ),
    "price above limit": Reason(
        "The spot price is above your limit: {message}",
        "Wait until the price falls (to watch: {status:--watch}), or raise MACHINE_PRICE or "
        "MAX_HOURLY_COST in config.py (None: no limit)" + _AGAIN,
        waiting_helps=True,
    ),
    "no key pair": Reason(
        "EC2 does not know the key pair SSH_KEY_NAME in this region: {message}",
        'Write SSH_KEY_NAME = "" in config.py, or the name of a key pair' + _AGAIN,
    ),
    "no machine image": Reason(
        "EC2 does not know the machine image: {message}",
        'Write "ImageId": "auto" in the fleet file, then: {stop} && {startCluster}',
    ),
    "no subnet": Reason(
        "EC2 does not know the subnet: {message}",
        'Write "SubnetIds": "auto" in the fleet file, or subnets of this region, then: {stop} && '
        "{startCluster}",
    ),
    "no free address": Reason(
        "The subnet has no free address: {message}",
        "Name larger or more subnets as SubnetIds in the fleet file, then: "
        "{stop} && {startCluster}",
    ),
    "no security group": Reason(
        "EC2 does not know the security group, or its VPC is not that of the subnets: {message}",
        'Write "SecurityGroupIds": "auto" in the fleet file, then: {stop} && {startCluster}',
    ),
    "no instance profile": Reason(
        "The role of the machines cannot be used: {message}",
        "Create it ({setupAWS}), or correct IamInstanceProfile in the fleet file; then: "
        "{stop} && {startCluster}",
    ),
    "small disk": Reason(
        "The disk is smaller than the machine image: {message}",
        "Raise EBS_VOL_SIZE in config.py" + _AGAIN,
    ),
    "type not offered": Reason(
        "AWS does not offer this machine type in one of the zones: {message}",
        "Wait for machines in the other zones " + _MORE_TYPES,
        waiting_helps=True,
    ),
    "fleet role invalid": Reason(
        "The role of the fleet may not start machines: {message}",
        "Create it ({setupAWS}), or correct IamFleetRole in the fleet file; then: "
        "{stop} && {startCluster}",
    ),
    "fleet role refused": Reason(
        "The role of the fleet may not start such machines: {message}",
        "Update the role ({setupAWS}), or correct IamFleetRole in the fleet file; if it is refused "
        "again, a policy of your organization forbids it: ask your administrator. Then: "
        "{stop} && {startCluster}",
    ),
    "request invalid": Reason(
        "A value of the request is not valid: {message}",
        "Correct it in config.py or in the fleet file" + _AGAIN,
    ),
    "launch failed": Reason(
        "Machines could not be started: {message}",
        "Wait, AWS tries again " + _MORE_TYPES,
        waiting_helps=True,
    ),
    "request expired": Reason(
        "AWS has ended the machines and their request: MAX_RUN_HOURS is over.", _CONTINUE
    ),
    "request cancelled": Reason(
        "The machines were ended by stop, by monitor, or by somebody in the account.", _CONTINUE
    ),
}


def symptom(sub_type: str, detail: str) -> str:
    """Return why no machine comes by one event of a fleet, "" if it reports no cause."""
    # Its description is about the machine, which came.
    return "" if sub_type == "launched" else classify(f"{sub_type} {detail}", _WORDS)


def explain(events: Iterable[tuple[str, str]]) -> list[Explained]:
    """Explain a fleet's history, given as (EventSubType, EventDescription).

    Returns each cause once, in the order of their first events.
    """
    found: dict[str, Explained] = {}
    for sub_type, detail in events:
        cause = symptom(sub_type, detail)
        if cause and cause not in found:
            message = (detail or sub_type).rstrip(".") + "."
            found[cause] = REASONS[cause].fill(cause, message=message)
    return list(found.values())
