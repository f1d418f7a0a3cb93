"""Find a run by its RUN_ID, and jobs by name, id, or a part of either."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from control import screen
from control.command import typed
from control.errors import UserError
from control.records import store, submissions
from control.records.job_objects import in_parallel
from control.text import several

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from control.model import Run

_SHOWN = 10
# Fewer digits of an id match many ids by chance.
_ID_PART = 6


class NoSuchJob(UserError):
    """No job has this name or id, nor a part of it."""


class Found(NamedTuple):
    """A job."""

    name: str
    id: str


def run(s3: S3Client, bucket: str, app_name: str, run_id: str) -> Run:
    """Return the run of this RUN_ID, the newest if it is "". Raise UserError if none has it."""
    if not run_id:
        return store.latest(s3, bucket, app_name)
    try:
        return store.load(s3, bucket, app_name, run_id)
    except s3.exceptions.NoSuchKey:
        newest = store.latest(s3, bucket, app_name)
        raise UserError(
            f"{app_name} has no run {run_id}.",
            f"Name one of those in s3://{bucket}/runs/{app_name}/; the newest is {newest.run_id}.",
        ) from None


def in_run(s3: S3Client, run: Run, word: str) -> Found:
    """Return the one job of the run that a word means. Raise UserError for none or several.

    The lines of `submitted/` are searched as they are: a million of them take seconds.
    """
    keys = list(submissions.parts(s3, run))
    with screen.progress("Looking for the job", len(keys)) as advance:

        def search(key: str) -> list[Found]:
            found = matches(submissions.part(s3, run, key), word)
            advance(1)
            return found

        candidates = [one for some in in_parallel(search, keys) for one in some]
    return choose(word, candidates, f"run {run.run_id} of {run.app_name}")


def matches(lines: bytes, word: str) -> list[Found]:
    """Return the jobs in the lines of a part that have the word in their name or id."""
    literal = re.escape(word).encode()
    if not re.search(literal, lines, re.IGNORECASE):
        return []
    by_name = rb'^\{"id":"(\w+)","name":"([^"]*' + literal + rb'[^"]*)"'
    by_id = rb'^\{"id":"(\w*' + literal + rb'\w*)","name":"([^"]*)"'
    flags = re.IGNORECASE | re.MULTILINE
    pairs = re.findall(by_name, lines, flags)
    if len(word) >= _ID_PART:
        pairs += re.findall(by_id, lines, flags)
    return [Found(name.decode(), job_id.decode()) for job_id, name in pairs]


def choose(word: str, candidates: Iterable[Found], where: str) -> Found:
    """Return the one job that a word means.

    That is the job with this id or name; else the only one with the word in its name, else in its
    id. Raise UserError for none or several.
    """
    all_of_them = set(candidates)
    small = word.lower()
    for fits in (
        {one for one in all_of_them if word == one.id},
        {one for one in all_of_them if word == one.name},
        {one for one in all_of_them if small in one.name.lower()},
        {one for one in all_of_them if len(word) >= _ID_PART and small in one.id},
    ):
        if len(fits) == 1:
            return fits.pop()
        if fits:
            raise _several(word, sorted(fits), where)
    raise NoSuchJob(
        f"No job of {where} has {word!r} as its name or id, or as a part of them.",
        "A name is the \"name\" in the job file, else the values joined by '-'. Names of "
        f"failed jobs: {typed('failures', '--all')}",
    )


def _several(word: str, fits: list[Found], where: str) -> UserError:
    names = {one.name for one in fits}
    shown = [one.name if len(names) > 1 else f"{one.name} (id {one.id})" for one in fits[:_SHOWN]]
    more = f" and {len(fits) - _SHOWN:,} more" if len(fits) > _SHOWN else ""
    return UserError(
        f"{word!r} means {several(len(fits), 'job')} of {where}: {', '.join(shown)}{more}.",
        "Give one whole name, or the id." if len(names) > 1 else "Give the id.",
    )
