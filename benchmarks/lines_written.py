"""Lines that an implementer keeps and wrote for each example, beside the public implementations.

    python benchmarks/lines_written.py
    python benchmarks/lines_written.py --recount FOLDER   # theirs, from git clones in FOLDER

A line is one of code: blank lines, comments and docstrings do not count. "Kept" are all lines of
the files that an implementer edits: worker with its further scripts, Dockerfile, config.py. "Own"
are those of them that the template does not have. Of run.py, which everybody edits there and nobody
here, only own lines count, as both. Their template is Distributed-Something, at that commit of its
history from which a file differs least. Theirs stand as they were written; ours are formatted by
ruff, at 100 columns.
"""

from __future__ import annotations

import argparse
import difflib
import io
import subprocess
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "Distributed-Something"
TEMPLATE_COMMIT = "d1d6e62"
RUN = "run.py"
# Where a file of the template has another name.
TEMPLATES = {"worker": "worker/generic-worker.py"}
# Lines kept, own lines.
Counts = tuple[int, int]

# Example: repository, commit, and its files with what --recount found in them.
THEIRS: dict[str, tuple[str, str, dict[str, Counts]]] = {
    "hello_world": (
        "Distributed-HelloWorld",
        "f70c525",
        {
            "worker/generic-worker.py": (169, 15),
            "worker/Dockerfile": (36, 1),
            "config.py": (25, 8),
            "run.py": (5, 5),
        },
    ),
    "fiji": (
        "Distributed-Fiji",
        "448d1ba",
        {
            "worker/fiji-worker.py": (131, 28),
            "worker/Dockerfile": (35, 8),
            "config.py": (25, 9),
            "run.py": (38, 38),
        },
    ),
    "ome_zarr": (
        "Distributed-OMEZarrCreator",
        "d4d16dd",
        {
            "worker/B2R-worker.py": (195, 128),
            "worker/add_downsampling.py": (74, 74),
            "worker/Dockerfile": (29, 6),
            "config.py": (22, 11),
            "run.py": (17, 17),
        },
    ),
    "cellprofiler": (
        "Distributed-CellProfiler",
        "17388b3",
        {
            "worker/cp-worker.py": (329, 207),
            "worker/Dockerfile": (43, 12),
            "config.py": (40, 23),
            "run.py": (90, 90),
        },
    ),
}


def code(name: str, text: str) -> list[str]:
    """The lines of code, without their indentation."""
    lines = [line.strip() for line in text.splitlines()]
    kept = set(range(len(lines)))
    if name.endswith(".py"):
        kept = {number - 1 for number in _numbers(text)}
    return [
        line
        for number, line in enumerate(lines)
        if number in kept and line and not line.startswith("#")
    ]


def _numbers(text: str) -> set[int]:
    """The numbers of lines that hold more than a docstring."""
    numbers: set[int] = set()
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            continue
        if token.type != tokenize.NEWLINE:
            statement.append(token)
            continue
        if not all(part.type == tokenize.STRING for part in statement):
            for part in statement:
                numbers.update(range(part.start[0], part.end[0] + 1))
        statement = []
    return numbers


def own(lines: list[str], template: list[str]) -> int:
    """How many of these lines are not the template's."""
    matcher = difflib.SequenceMatcher(None, template, lines, autojunk=False)
    return len(lines) - sum(block.size for block in matcher.get_matching_blocks())


def ours(example: str) -> dict[str, Counts]:
    """The counts of an example of this repository."""
    folder = ROOT / "examples" / example
    files = [
        "config.py",
        *(f"worker/{path.name}" for path in sorted((folder / "worker").iterdir())),
    ]
    counts = {}
    for name in files:
        if (folder / name).is_file():
            lines = code(name, (folder / name).read_text(encoding="utf-8"))
            template = ROOT / name
            known = code(name, template.read_text(encoding="utf-8")) if template.is_file() else []
            counts[name] = (len(lines), own(lines, known))
    return counts


def recount(clones: Path, example: str) -> dict[str, Counts]:
    """The counts of a public implementation, from its clone and that of the template."""
    repository, commit, files = THEIRS[example]
    counts = {}
    for name in files:
        lines = code(name, _git(clones / repository, "show", f"{commit}:{name}"))
        of_template = TEMPLATES["worker"] if name.endswith("-worker.py") else name
        own_lines = min(
            (own(lines, code(name, text)) for text in _versions(clones / TEMPLATE, of_template)),
            default=len(lines),
        )
        counts[name] = (own_lines if name == RUN else len(lines), own_lines)
    return counts


def _versions(clone: Path, name: str) -> Iterable[str]:
    commits = _git(clone, "log", "--format=%h", TEMPLATE_COMMIT, "--", name).split()
    for commit in commits:
        if _git(clone, "ls-tree", commit, name):
            yield _git(clone, "show", f"{commit}:{name}")


def _git(clone: Path, *words: str) -> str:
    command = ["git", "-C", str(clone), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _total(counts: Mapping[str, Counts]) -> Counts:
    return sum(kept for kept, _ in counts.values()), sum(mine for _, mine in counts.values())


def main() -> None:
    """Print the table, or theirs counted anew."""
    parser = argparse.ArgumentParser(description="Lines of each example, beside the public ones.")
    parser.add_argument("--recount", type=Path, metavar="FOLDER", help="git clones of theirs")
    args = parser.parse_args()
    if args.recount:
        for example in THEIRS:
            print(example, recount(args.recount, example))
        return
    print("| example | ours: kept | own | theirs: kept | own | kept, ours / theirs | own |")
    print("|---|---|---|---|---|---|---|")
    for folder in sorted((ROOT / "examples").glob("*/config.py")):
        example = folder.parent.name
        kept, mine = _total(ours(example))
        line = f"| {example} | {kept} | {mine} |"
        if example in THEIRS:
            their_kept, their_own = _total(THEIRS[example][2])
            line += (
                f" {their_kept} | {their_own} | {kept / their_kept:.2f} | {mine / their_own:.2f} |"
            )
        print(line if example in THEIRS else f"{line} | | | |")


if __name__ == "__main__":
    main()
