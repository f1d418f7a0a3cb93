"""SNS: one mail when a run ends.

SNS, not SES: a topic needs no sender address to be verified and no way out of SES's sandbox, and
its mails come from AWS's own domain. A mail that claims to be from the user's own institution is
refused by every receiver that checks its sender policy (DMARC). All it needs is one click.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING

from control.services import records
from control.words import several

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from control.services.account import AWS
    from control.services.records import JobCounts, Run

_PREFIX = "DistributedSomething-"
_LONGEST_SUBJECT = 99  # SNS takes fewer than 100 characters (API reference of Publish)


def topic(address: str) -> str:
    """The name of the topic of a mail address, which all runs share: it is confirmed once."""
    digest = hashlib.sha256(address.lower().encode()).hexdigest()[:8]
    return f"{_PREFIX}{re.sub(r'[^A-Za-z0-9]+', '-', address)[:100]}-{digest}"


def subscribe(sns: SNSClient, address: str) -> tuple[str, bool]:
    """Make the topic and ask AWS to send there: (the topic's ARN, whether it was confirmed).

    AWS sends a mail with a link; nothing is sent to that address before the link was clicked.
    """
    arn = sns.create_topic(Name=topic(address))["TopicArn"]
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    known = [s["SubscriptionArn"] for page in pages for s in page["Subscriptions"]]
    confirmed = any(one.startswith("arn:") for one in known)
    if not confirmed:
        # Again, if it was asked for before: AWS forgets a request that nobody confirmed.
        answer = sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=address)
        confirmed = answer["SubscriptionArn"].startswith("arn:")
    return arn, confirmed


def delete_topic(sns: SNSClient, address: str) -> bool:
    """Delete the topic of a mail address; says whether there was one."""
    for page in sns.get_paginator("list_topics").paginate():
        for found in page["Topics"]:
            if found["TopicArn"].endswith(f":{topic(address)}"):
                sns.delete_topic(TopicArn=found["TopicArn"])
                return True
    return False


def tell_end(aws: AWS, run: Run, counts: JobCounts, why: str, cost: str) -> bool:
    """Send the one mail about the end of a run; says whether this call sent it.

    It is written down first who sends it, so that of two monitors one does.
    """
    if not run.topic_arn:
        return False
    ours = False

    def claim(now: Run) -> Run:
        nonlocal ours
        ours = not now.mailed
        return dataclasses.replace(now, mailed=True)

    run = records.change(aws.s3, run, claim)
    if ours:
        aws.sns.publish(
            TopicArn=run.topic_arn,
            Subject=_subject(run, counts, why),
            Message=_message(run, counts, why, cost),
        )
    return ours


def _subject(run: Run, counts: JobCounts, why: str) -> str:
    how = "stopped" if why else "finished"
    text = f"{run.app_name} {how}: {counts.done:,} of {several(counts.submitted, 'job')} done"
    return text[:_LONGEST_SUBJECT]


def _message(run: Run, counts: JobCounts, why: str, cost: str) -> str:
    unfinished = counts.submitted - counts.finished
    lines = [
        f"Run {run.run_id} of {run.app_name} has ended: {why or 'every job has ended'}.",
        "",
        f"done        {counts.done:,}",
        f"skipped     {counts.skipped:,} (their outputs were there already)",
        f"failed      {counts.failed:,}",
        f"unfinished  {unfinished:,}",
        f"submitted   {counts.submitted:,}",
        "",
        cost,
        f"Records and logs: s3://{run.bucket}/{run.prefix}",
    ]
    if unfinished > 0:
        lines.append("The unfinished jobs can go on: python run.py startCluster FLEETFILE")
    return "\n".join(lines) + "\n"
