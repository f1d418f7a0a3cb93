"""SNS: the topic for mails about runs."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_PREFIX = "DistributedSomething-"


def topic(address: str) -> str:
    """Return the topic of a mail address. All runs share it, so it is confirmed once."""
    digest = hashlib.sha256(address.lower().encode()).hexdigest()[:8]
    return f"{_PREFIX}{re.sub(r'[^A-Za-z0-9]+', '-', address)[:100]}-{digest}"


def subscribe(sns: SNSClient, address: str) -> tuple[str, bool]:
    """Make the topic and subscribe the address: (the topic's ARN, whether it is confirmed).

    AWS sends a mail with a link, and nothing else until somebody clicks it.
    """
    arn = sns.create_topic(Name=topic(address))["TopicArn"]
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    known = [s["SubscriptionArn"] for page in pages for s in page["Subscriptions"]]
    confirmed = any(one.startswith("arn:") for one in known)
    if not confirmed:
        # Repeat an earlier request: AWS forgets one that nobody confirmed.
        answer = sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=address)
        confirmed = answer["SubscriptionArn"].startswith("arn:")
    return arn, confirmed


def delete_topic(sns: SNSClient, address: str) -> bool:
    """Delete the topic of a mail address; return whether there was one."""
    for page in sns.get_paginator("list_topics").paginate():
        for found in page["Topics"]:
            if found["TopicArn"].endswith(f":{topic(address)}"):
                sns.delete_topic(TopicArn=found["TopicArn"])
                return True
    return False
