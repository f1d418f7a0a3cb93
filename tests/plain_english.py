"""Check that what people read here is plain US English: `python -m tests.plain_english [PATH ...]`.

Pages, the comments and texts of Python files, and other text files are compared with
plain_english.txt. Docstrings of public functions must begin with a verb, and
no docstring with What, How or Whether.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_suffix(".txt")
READ = (
    "*.py *.md *.sh *.yml *.toml *.json *.html *.css *.js *.cff *.txt *.svg Makefile Dockerfile run"
)
# The first three quote what they forbid.
SKIPPED = "plain_english.py plain_english.txt test_plain_english.py _build __pycache__ *_output"
# Stands for code: no phrase goes across it.
CODE = "\0"
CODE_IN_PAGE = re.compile(
    r"^```.*?^```|^ {4,}\S.*?$|`[^`]*`|(?<=\]\()[^)\s]*|https?://\S+", re.MULTILINE | re.DOTALL
)
# No verb is one of these, or "Makes", "Making", "AWS".
NO_VERB = re.compile(
    r"""(a|above|after|all|also|an|another|any|as|asked|at|both|by|different|each|else|every
    |everything|for|fresh|from|four|how|if|in|it|its|job|like|many|may|memory|more|most|new|no|none
    |not|nothing|of|on|one|only|other|peak|relative|same|six|so|some|that|the|there|these|they|this
    |those|three|to|true|two|until|what|when|where|wherever|whether|which|who|whoever|whose|why|with
    |within|without|written|yes|\w*[^s]s|(?!bring)\w+ing)""",
    re.VERBOSE,
)
# A clause without a sentence: "What the queue holds."
CLAUSE = re.compile(r"(What|How|Whether|Why|Who|Whose|Where|When)\b")
# A line, what is there, what to write instead.
Finding = tuple[int, str, str]
# All phrases as one pattern, each a group by name, and what to write instead of each.
Table = tuple[re.Pattern[str], dict[str, str]]


def read_table(text: str) -> Table:
    """Read plain_english.txt; of two phrases that fit a place, the first one counts."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = {f"p{number}": line.rsplit(" | ", 1) for number, line in enumerate(lines)}
    groups = "|".join(f"(?P<{name}>{phrase.strip()})" for name, (phrase, _) in pairs.items())
    spaced = groups.replace(" ?", r"\s*").replace(" ", r"\s+")
    phrases = re.compile(rf"(?<![\w-])(?=[a-z])(?:{spaced})(?![\w-])", re.IGNORECASE)
    return phrases, {name: instead.strip() for name, (_, instead) in pairs.items()}


def without(code: str | re.Pattern[str], text: str) -> str:
    """Replace code in a text, but not its line breaks."""
    return re.sub(code, lambda match: re.sub(r"[^\n]", CODE, match.group()), text)


def prose_of_python(text: str) -> str:
    """Return the comments and texts of a Python file at their lines, without the rest."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    prose = list(re.sub(r"\S", CODE, text))
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in kinds:
            start, end = (starts[line - 1] + column for line, column in (token.start, token.end))
            found = text[start:end]
            if re.match(r"\w*f\w*[\"']", found, re.IGNORECASE):
                found = without(r"\{[^{}]*\}", found)
            # Texts that follow each other are one: their quotes are spaces.
            marks = r"^#|^\w*[\"']+|[\"']+$|\\n"
            prose[start:end] = re.sub(marks, lambda match: " " * len(match.group()), found)
    return "".join(prose)


def begins_with_verb(text: str) -> bool:
    """Tell whether a text's first word can be an imperative."""
    word = re.match(r"[A-Z][a-z]+(?![\w'-])", text)
    return word is not None and not NO_VERB.fullmatch(word.group().lower())


def docstrings(text: str) -> Iterator[Finding]:
    """Yield the docstrings of public functions that do not begin with a verb, and all clauses.

    Docstrings of properties and fixtures may name a value, those of tests describe a case.
    """
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = [node.name, *map(ast.unparse, node.decorator_list)]
        elif not isinstance(node, (ast.Module, ast.ClassDef)):
            continue
        docstring = ast.get_docstring(node) or "Have none."
        place = (node.body[0].lineno if node.body else 1, " ".join(docstring.split()[:4]))
        exempt = not names or re.match(r"_|test_|.*(property|fixture)", " ".join(names))
        if not exempt and not begins_with_verb(docstring):
            yield *place, "a verb first: Return, Send, ..."
        elif CLAUSE.match(docstring):
            yield *place, "a noun or a sentence"


def check(name: str, text: str, table: Table) -> list[Finding]:
    """Return the places of a file's text that are not plain, in the order of its lines."""
    prose, found = text, list[Finding]()
    if name.endswith(".md"):
        prose = without(CODE_IN_PAGE, text)
    elif name.endswith(".py"):
        prose, found = prose_of_python(text), [*docstrings(text)]
    phrases, instead = table
    for match in phrases.finditer(prose):
        line = prose.count("\n", 0, match.start()) + 1
        found.append((line, " ".join(match.group().split()), instead[match.lastgroup or ""]))
    return sorted(found)


def files(path: Path) -> Iterator[Path]:
    """Yield the files at or below a path that hold something to read."""
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            hidden = inner.name.startswith(".") and inner.name not in (".ci", ".github")
            if not hidden and not any(inner.match(name) for name in SKIPPED.split()):
                yield from files(inner)
    elif any(path.match(name) for name in READ.split()):
        yield path


def main(paths: list[str]) -> int:
    """Print what is found below these paths, or below this folder; return the exit code."""
    table, count = read_table(TABLE.read_text(encoding="utf-8")), 0
    for path in (file for one in paths or ["."] for file in files(Path(one))):
        for line, found, instead in check(path.name, path.read_text(encoding="utf-8"), table):
            print(f"{path}:{line}: {found!r} -> {instead}")
            count += 1
    print(f"{count} places to reword")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
