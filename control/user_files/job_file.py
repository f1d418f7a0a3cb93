"""Job files: read, checked and surveyed."""

from __future__ import annotations

import itertools
import json
import os
import re
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from control.errors import UserError
from control.user_files import json_file, tables
from control.user_files.job import Job, make_job, name_hash, without_comments

# SQS takes 1 MiB a message, attributes included (aws-facts: SQS); 4 KiB are left for those.
MAX_BODY_BYTES = 1024 * 1024 - 4096
# People do not read a job file with more groups, and reading it takes memory.
GROUPS_LISTED = 10_000
# Characters that SQS refuses in a body (API reference of SendMessage) and JSON does not escape.
_NOT_FOR_SQS = re.compile("[\ufffe\uffff]")


@dataclass(frozen=True)
class JobFile:
    """A job file that can be read more than once: shared values, and groups in it or in a table.

    Only its `first` groups are jobs; all if that is None.
    """

    path: Path
    shared: Mapping[str, Any]
    listed: tuple[Any, ...] | None
    table: Path | None
    first: int | None = None

    @property
    def groups_path(self) -> Path:
        """Return the file that has the groups."""
        return self.table or self.path

    def jobs(self) -> Iterator[Job]:
        """Yield every job while reading. Raise UserError with file, line and group."""
        for where, group in itertools.islice(self._groups(), self.first):
            values = without_comments(group)
            if not values:
                raise UserError(
                    f"{self.place(where)}: the group is empty.",
                    "Give it at least one value, or remove it.",
                )
            yield self._job(values, where)

    def place(self, where: str) -> str:
        """Return a job's `where` with its file, and its line, which is searched for only here."""
        if self.table:
            return f"{self.table}, {where}"
        return f"{self.path}, line {_line_of_group(self.path, int(where.split()[-1]))}, {where}"

    def _groups(self) -> Iterator[tables.Row]:
        if self.table:
            return tables.read(self.table)
        return self._listed_groups()

    def _listed_groups(self) -> Iterator[tables.Row]:
        for number, group in enumerate(self.listed or (), start=1):
            if not isinstance(group, dict):
                raise UserError(
                    f"{self.place(f'group {number}')}: {json.dumps(group)[:60]} is not an object.",
                    'Write each group as an object: {"name of a value": "value"}.',
                )
            yield f"group {number}", group

    def _job(self, values: Mapping[str, Any], where: str) -> Job:
        try:
            job = make_job(self.shared, values, where)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{self.place(where)}: a value cannot be written as JSON ({error}).",
                "Use text, numbers, true, false, null, lists or objects; no NaN or Infinity.",
            ) from None
        size = len(job.body) if job.body.isascii() else len(job.body.encode())
        if size > MAX_BODY_BYTES:
            raise UserError(
                f"{self.place(where)}: the job is {size:,} bytes as a message; SQS accepts "
                f"{MAX_BODY_BYTES:,}.",
                "Put the long part into a file in the bucket and name its key in the job.",
            )
        if _NOT_FOR_SQS.search(job.body):
            raise UserError(
                f"{self.place(where)}: a value holds U+FFFE or U+FFFF, which SQS refuses.",
                "Remove that character; it is often a sign of a wrong file encoding.",
            )
        return job


def read(path: Path, first: int | None = None) -> JobFile:
    """Read a job file, or only its `first` groups.

    Raise UserError if it is missing, empty, not JSON or without groups.
    """
    if path.suffix.lower() in tables.ENDINGS:
        raise UserError(
            f"{path} is a table of jobs; a job file names it, along with what all jobs share.",
            f'Write a file such as {path.with_suffix(".json")}: {{"output_location": "results", '
            f'"groups": "{path.name}"}}, and submit that.',
        )
    if path.suffix.lower() == ".py":
        raise UserError(
            f"{path} is a Python file; a job file is JSON and lists the jobs.",
            "Name the job file, such as files/exampleJob.json; another config.py: --config FILE.",
        )
    content = json_file.read(path, "job", "files/exampleJob.json")
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: a job file is one JSON object, this is a {_json_type(content)}.",
            'Begin it with { and put the jobs into "groups": [ ... ].',
        )
    shared = without_comments({k: v for k, v in content.items() if k != "groups"})
    groups = content.get("groups")
    if "group" in shared:
        raise UserError(
            f'{path} has "group"; the list of jobs is called "groups".',
            'Write "groups". (In a message, "group" is its own job.)',
        )
    if isinstance(groups, str):
        return JobFile(path, shared, None, _table_beside(path, groups), first)
    if not isinstance(groups, list) or not groups:
        raise UserError(
            f'{path}: there are no "groups" in it.',
            'Add "groups": [ {...}, {...} ] with one object a job, or "groups": "table.csv".',
        )
    return JobFile(path, shared, tuple(groups), None, first)


def write(
    path: Path, shared: Mapping[str, Any], groups: Iterable[Any], listed: int = GROUPS_LISTED
) -> int:
    """Write a job file and return the number of its groups.

    More than `listed` groups go into a JSON-lines table next to it, one at a time: a million of
    them need no memory. Either file is complete as soon as it exists.
    """
    rest = iter(groups)
    first = list(itertools.islice(rest, listed + 1))
    if len(first) <= listed:
        lines = ",\n".join(f"  {_line(group)}" for group in first)
        _replace(path, [_head(shared), f'"groups": [\n{lines}\n]\n}}\n'])
        return len(first)
    table = path.with_suffix(".jsonl")
    count = _replace(table, (f"{_line(group)}\n" for group in itertools.chain(first, rest)))
    _replace(path, [_head(shared), f'"groups": {_line(table.name)}\n}}\n'])
    return count


def _head(shared: Mapping[str, Any]) -> str:
    return "{\n" + "".join(f"{_line(key)}: {_line(shared[key])},\n" for key in shared)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _replace(path: Path, texts: Iterable[str]) -> int:
    """Write the file under another name first: an interruption leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            for count, text in enumerate(texts, start=1):  # noqa: B007
                file.write(text)
        except BaseException:
            os.unlink(file.name)
            raise
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return count


def _json_type(content: Any) -> str:
    return "list" if isinstance(content, list) else "single value"


def _table_beside(path: Path, name: str) -> Path:
    table = path.parent / name
    if table.suffix.lower() not in tables.ENDINGS:
        raise UserError(
            f'{path}: "groups" names {name}, which is not a table.',
            "Name a .csv, .tsv or .jsonl file next to the job file.",
        )
    if not table.is_file():
        raise UserError(
            f'{path}: "groups" names {name}, and there is no file {table}.',
            "Put the table next to the job file, or correct its name.",
        )
    return table


def _line_of_group(path: Path, number: int) -> int | str:
    """Return the line on which a listed group begins; the first has number 1."""
    text = path.read_text(encoding="utf-8-sig")
    start = re.search(r'"groups"\s*:\s*\[', text)
    if start is None:
        return "?"
    decoder, position = json.JSONDecoder(), start.end()
    between = re.compile(r"[\s,]*")
    for _ in range(number):
        begin = between.match(text, position).end()  # type: ignore[union-attr]
        position = decoder.raw_decode(text, begin)[1]
    return text.count("\n", 0, begin) + 1


@dataclass(frozen=True)
class Survey:
    """Counts of a whole job file, known before anything is sent."""

    count: int
    repeated: int = 0
    first_repeated: str = ""
    repeated_ids: frozenset[int] = frozenset()


def survey(file: JobFile, advance: Callable[[int], None] = lambda jobs: None) -> Survey:
    """Read every job once, so that a mistake in the last line is found before the first is sent.

    Raise UserError for a bad group and for two different jobs of one name: their outputs would
    overwrite each other. Needs 16 bytes of memory for each job, apart from a sort. `advance` is
    called with 1000 after that many jobs.
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
                f"{file.place(first.where)} and {job.where} are different jobs with the same name, "
                f"'{job.name}'.",
                'Give each group a "name" of its own: results and logs are kept by name.',
            )
    return Survey(count, repeated, first_repeated, same_ids)
