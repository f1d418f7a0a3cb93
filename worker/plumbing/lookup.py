"""What there is to know about a job before it is run, and whether it is to be run at all."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable

from plumbing import done_check, records
from plumbing import outcome as settle
from plumbing.errors import JobFailed
from plumbing.outcome import Outcome
from plumbing.paths import output_place
from plumbing.retrying import persistently

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from plumbing.message import Message
    from plumbing.settings import Settings

# SQS drops a job without a word at its hundredth receive above JOB_RETRIES (control/services).
MOST_RECEIVES_ABOVE_RETRIES = 90
INTERRUPTIONS = "its machines were taken away, or a program of its own ends its worker"


@dataclass
class Known:
    """What has been learned so far, also for whoever is cut off in the middle of it."""

    earlier: records.Done | None = None
    past: records.Past = records.NO_PAST
    prefix: str = ""


def look_up(
    known: Known,
    s3: S3Client,
    settings: Settings,
    message: Message,
    keys: records.Keys,
    output_prefix: Callable[[], Any],
    check: Callable[[], None],
) -> Outcome | None:
    """Fill `known`; why the job is not to be run, None if it is. Raises JobFailed."""
    if message.fault:
        return Outcome(settle.FAILED, message.fault, final=True)
    what, bucket = f"[{message.job_name}] reading its records", settings.bucket
    known.earlier = persistently(lambda: records.find_done(s3, bucket, keys), what, check)
    if known.earlier and known.earlier.submission >= message.submission:
        return Outcome(settle.REPEATED, "there is a done record already")
    known.past = records.read_past(s3, bucket, keys, check)
    if known.past.counted >= settings.job_retries:
        reason = persistently(lambda: records.reason_of(s3, bucket, keys, known.past), what, check)
        return Outcome(settle.GIVEN_UP, reason)
    if message.receive >= settings.job_retries + MOST_RECEIVES_ABOVE_RETRIES:
        times = f"interrupted {len(known.past.interrupted)} times before it could end"
        return Outcome(settle.FAILED, f"{times}: {INTERRUPTIONS}", final=True)
    known.prefix = _prefix_of(output_prefix, settings)
    # What an earlier receive has left there may be a part of its outputs: it never got to its end.
    ask = settings.check_if_done and is_first(message)
    if ask and done_check.outputs_are_there(s3, settings, known.prefix, check):
        return Outcome(settle.SKIPPED, "its outputs are there already")
    return None


def is_first(message: Message) -> bool:
    """Whether nobody in this run can have worked on the job before."""
    return message.receive == 1 and message.submission == 1


def _prefix_of(output_prefix: Callable[[], Any], settings: Settings) -> str:
    try:
        prefix = output_prefix()
    except JobFailed:
        raise
    # Any: sys.exit() in it would end the worker, and with the message coming back all of them.
    except BaseException as error:
        traceback.print_exc()
        raise JobFailed(f"output_prefix raised {type(error).__name__}: {error}") from error
    return output_place(prefix, beside_records=settings.destination_bucket == settings.bucket)
