"""Why no machine comes: the events of a fleet's history -> reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from control.explain.aws_errors import Reason

_CAPACITY = Reason(
    "AWS has no spot machines of these types to give at the moment: {message}",
    "Wait, the request stays; or put more types into MACHINE_TYPE, then: stop, setup, "
    "startCluster.",
)

_QUOTA = Reason(
    "your account's quota of spot machines, which counts vCPUs, is used up: {message}",
    "Ask for more at Service Quotas ('All Standard Spot Instance Requests'; G, P and others have "
    "their own), or wait until other machines of the account have ended.",
)

_PRICE = Reason(
    "the spot price is above your limit: {message}",
    "Raise MACHINE_PRICE or MAX_HOURLY_COST in config.py (None: no limit), then: stop, setup, "
    "startCluster. Or wait until the price falls.",
)

# Words of a fleet's events -> reason, the first that fits: what a description says is nearer to
# the cause than the event's type (botocore: ec2.EventInformation; EC2 API reference, error codes).
# users_mistake: waiting does not help.
EVENTS: dict[str, Reason] = {
    "InsufficientInstanceCapacity": _CAPACITY,
    "UnfulfillableCapacity": _CAPACITY,
    "MaxSpotInstanceCountExceeded": _QUOTA,
    "VcpuLimitExceeded": _QUOTA,
    "spotInstanceCountLimitExceeded": _QUOTA,
    "maximum total price": _PRICE,
    "SpotMaxPriceTooLow": _PRICE,
    "launchSpecUnusable": _PRICE,
    "fleetProgressHalted": _PRICE,
    "InvalidKeyPair": Reason(
        "EC2 does not know the key pair SSH_KEY_NAME in this region: {message}",
        'Write SSH_KEY_NAME = "" in config.py, or the name of a key pair, then: stop, setup, '
        "startCluster.",
        True,
    ),
    "InvalidAMIID": Reason(
        "EC2 does not know the machine image: {message}",
        'Write "ImageId": "auto" in the fleet file, then: stop, startCluster.',
        True,
    ),
    "InvalidSubnet": Reason(
        "EC2 does not know the subnet: {message}",
        'Write "SubnetIds": "auto" in the fleet file, or subnets of this region, then: stop, '
        "startCluster.",
        True,
    ),
    "InsufficientFreeAddresses": Reason(
        "the subnet has no free address: {message}",
        "Name larger or more subnets as SubnetIds in the fleet file, then: stop, startCluster.",
        True,
    ),
    "InvalidGroup": Reason(
        "EC2 does not know the security group, or it is of another VPC than the subnets: {message}",
        'Write "SecurityGroupIds": "auto" in the fleet file, then: stop, startCluster.',
        True,
    ),
    "instance profile": Reason(
        "the role of the machines cannot be used: {message}",
        "Run setupAWS, or correct IamInstanceProfile in the fleet file, then: stop, startCluster.",
        True,
    ),
    "InvalidSnapshot": Reason(
        "the disk is smaller than the machine image: {message}",
        "Raise EBS_VOL_SIZE in config.py, then: stop, setup, startCluster.",
        True,
    ),
    "requested configuration is currently not supported": Reason(
        "AWS does not offer this machine type in one of the zones: {message}",
        "Put more types into MACHINE_TYPE in config.py, then: stop, setup, startCluster.",
    ),
    "iamFleetRoleInvalid": Reason(
        "the role of the fleet may not start machines: {message}",
        "Run setupAWS, or correct IamFleetRole in the fleet file, then: stop, startCluster.",
        True,
    ),
    "UnauthorizedOperation": Reason(
        "the role of the fleet may not start such machines: {message}",
        "Run setupAWS, or correct IamFleetRole in the fleet file, then: stop, startCluster. If it "
        "stays, a policy of your organization forbids it: ask your administrator.",
        True,
    ),
    "spotFleetRequestConfigurationInvalid": Reason(
        "a value of the request is not valid: {message}",
        "Correct it in config.py or in the fleet file, then: stop, setup, startCluster.",
        True,
    ),
    "launchSpecTemporarilyBlacklisted": Reason(
        "machines could not be started: {message}",
        "Wait, AWS tries again; or put more types into MACHINE_TYPE, then: stop, setup, "
        "startCluster.",
    ),
    "expired": Reason(
        "the request has expired (MAX_RUN_HOURS).", "Request machines again: startCluster", True
    ),
    "cancelled": Reason(
        "the request was cancelled by somebody.", "Request machines again: startCluster", True
    ),
}

# What tells only that something else was told, or that all goes well.
_NO_CAUSE = ("allLaunchSpecsTemporarilyBlacklisted", "launched", "cancelled_terminating")


@dataclass(frozen=True)
class Explained:
    """A reason with AWS's own words filled in; `lasting`: waiting does not help; `situation` is
    the word of EVENTS by which it was found."""

    what: str
    fix: str
    lasting: bool
    situation: str = ""


def explain(events: Iterable[tuple[str, str]]) -> list[Explained]:
    """What a fleet's history, as (EventSubType, EventDescription), says of why no machine comes.

    Each cause once, in the order of their first events.
    """
    found: dict[Reason, Explained] = {}
    for sub_type, detail in events:
        text = f"{sub_type} {detail}".lower()
        words = next((words for words in EVENTS if words.lower() in text), None)
        if words is None or sub_type in _NO_CAUSE:
            continue
        reason = EVENTS[words]
        what = reason.sentence.format(message=(detail or sub_type).rstrip(".") + ".")
        said = Explained(what[0].upper() + what[1:], reason.cure, reason.users_mistake, words)
        found.setdefault(reason, said)
    return list(found.values())
