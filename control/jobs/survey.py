"""A whole job file looked over before anything of it is sent."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from control.errors import UserError
from control.jobs.job_file import JobFile
from control.jobs.jobs import Job, name_hash


@dataclass(frozen=True)
class Survey:
    """What a whole job file holds, known before anything is sent."""

    count: int
    repeated: int = 0
    first_repeated: str = ""
    repeated_ids: frozenset[int] = frozenset()


def survey(file: JobFile, advance: Callable[[int], None] = lambda jobs: None) -> Survey:
    """Read every job once, so that a mistake in the last line is found before the first is sent.

    Raises UserError for a bad group and for two different jobs of one name: their outputs would
    overwrite each other. Needs 16 bytes of memory a job beside a passing sort. `advance` hears
    of every 1,000 jobs.
    """
    ids, names = array("Q"), array("Q")
    for number, job in enumerate(file.jobs(), start=1):
        ids.append(int(job.id, 16))
        names.append(name_hash(job.name))
        if number % 1000 == 0:
            advance(1000)
    same_ids, same_names = _repeated(ids), _repeated(names)
    if not same_ids and not same_names:
        return Survey(len(ids))
    return _explain_repeats(file, len(ids), same_ids, same_names)


def _repeated(values: array[int]) -> frozenset[int]:
    ordered = sorted(values)
    return frozenset(a for a, b in pairwise(ordered) if a == b)


def _explain_repeats(
    file: JobFile, count: int, same_ids: frozenset[int], same_names: frozenset[int]
) -> Survey:
    first_of_id: dict[int, str] = {}
    first_of_name: dict[str, Job] = {}
    repeated, first_repeated = 0, ""
    for job in file.jobs():
        job_id = int(job.id, 16)
        if job_id in first_of_id:
            repeated += 1
            first_repeated = first_repeated or f"{first_of_id[job_id]} and {job.where}"
            continue
        if job_id in same_ids:
            first_of_id[job_id] = job.where
        if name_hash(job.name) not in same_names:
            continue
        first = first_of_name.setdefault(job.name, job)
        if first is not job:
            raise UserError(
                f"{file.place(first.where)} and {job.where} are different jobs of one name, "
                f"'{job.name}'.",
                'Give each group a "name" of its own: results and logs are kept by name.',
            )
    return Survey(count, repeated, first_repeated, same_ids)
