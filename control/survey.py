"""A whole job file looked over before anything of it is sent."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from control.errors import UserError
from control.job_file import JobFile
from control.jobs import Job


@dataclass(frozen=True)
class Survey:
    """What a whole job file holds, known before anything is sent."""

    count: int
    repeated: int
    first_repeated: str


def survey(file: JobFile) -> Survey:
    """Read every job once, so that a mistake in the last line is found before the first is sent.

    Raises UserError for a bad group and for two different jobs of one name: their outputs would
    overwrite each other. Needs 16 bytes of memory a job beside a passing sort.
    """
    ids, names = array("Q"), array("Q")
    for job in file.jobs():
        ids.append(int(job.id, 16))
        names.append(hash(job.name) & 0xFFFF_FFFF_FFFF_FFFF)
    same_ids, same_names = _repeated(ids), _repeated(names)
    if not same_names:
        return Survey(len(ids), 0, "")
    return _explain_repeats(file, len(ids), same_ids, same_names)


def _repeated(values: array[int]) -> set[int]:
    ordered = sorted(values)
    return {a for a, b in zip(ordered, ordered[1:], strict=False) if a == b}


def _explain_repeats(file: JobFile, count: int, same_ids: set[int], same_names: set[int]) -> Survey:
    first_of_name: dict[str, Job] = {}
    repeats: list[str] = []
    for job in file.jobs():
        if hash(job.name) & 0xFFFF_FFFF_FFFF_FFFF not in same_names:
            continue
        first = first_of_name.setdefault(job.name, job)
        if first.where == job.where:
            continue
        if first.id != job.id:
            raise UserError(
                f"{file.groups_path}: {first.where} and {job.where} are different jobs of one "
                f"name, '{job.name}'.",
                'Give each group a "name" of its own: results and logs are kept by name.',
            )
        repeats.append(f"{first.where} and {job.where}")
    return Survey(count, len(repeats), repeats[0] if repeats else "")
