"""The check of our English finds what no lab would write, and leaves the rest alone."""

from __future__ import annotations

import re

import pytest

from tests import plain_english

TABLE = plain_english.read_table(plain_english.TABLE.read_text(encoding="utf-8"))


def found(name, text):
    return [(line, words) for line, words, _ in plain_english.check(name, text, TABLE)]


@pytest.mark.parametrize(
    "sentence, words",
    [
        ("Mend the file, then: setup.", "Mend"),
        ("These jobs have waited in vain.", "in vain"),
        ("Try each verb singly.", "singly"),
        ("It failed for want of memory.", "for want of"),
        ("There was no message to be had.", "to be had"),
        ("No machine has been asked for.", "asked for"),
        ("The command that the user asked for.", "asked for"),
        ("The reason is said once.", "is said"),
        ("What EC2 tells is not enough.", "EC2 tells"),
        ("At most one of those in so many seconds.", "so many"),
        ("So long a job waits for protection.", "So long"),
        ("These machines are too dear.", "dear"),
        ("The machines that setup brought up.", "brought up"),
        ("A job is given up after three attempts.", "given up"),
        ("The script lies beside the worker.", "lies beside"),
        ("A key that is no number.", "that is no number"),
        ("The monitor goes on.", "goes on"),
        ("My favourite colours.", "favourite"),
        ("The behaviour of the licence.", "behaviour"),
        ("A labelled, normalised catalogue.", "labelled"),
        ("Three centres.", "centres"),
    ],
)
def test_what_no_lab_would_write_is_found(sentence, words):
    assert words in [said for _, said in found("page.md", sentence)]


@pytest.mark.parametrize(
    "sentence",
    [
        "Fix the file, then run setup.",
        "EC2 lists no spot price; S3 reports an error.",
        "There are so many jobs that one machine is too slow.",
        "The job was cancelled; three promises, four analyses and an exercise remain.",
        "The user asked the monitor to stop; the container was told to stop.",
        "There is no bucket, and no machine is longer needed.",
        "The fake stands in for S3. Recommended: the endeared mentor of Singleton.",
        "Wait as long as necessary, besides.",
    ],
)
def test_plain_sentences_pass(sentence):
    assert found("page.md", sentence) == []


def test_a_phrase_is_found_across_lines_and_named_by_its_first():
    assert found("page.md", "One.\n\nThey wait in\nvain.\n") == [(3, "in vain")]
    assert found("a.py", "x = 1\n# They wait in\n# vain.\n") == [(2, "in vain")]
    assert found("a.py", 'x = (\n    "they wait in "\n    f"vain: {x}"\n)\n') == [(2, "in vain")]


def test_code_is_not_prose():
    page = "Type `mend` or\n\n    mend all\n\n```\nmend\n```\n[it](mend.md) at https://a.b/mend.\n"
    assert found("page.md", page) == []
    assert found("a.py", "mend = singly(asked_for)\nin_vain = [mend]\n") == []
    assert found("a.py", 'x = f"{mend} jobs"\ny = ["in", "vain"]\n') == []
    assert found("worker.sh", "# mends it\n") == [(1, "mends")]


FUNCTION = 'def public(a):\n    """{}"""\n'


@pytest.mark.parametrize(
    "docstring",
    [
        *("What AWS has.", "Whether it runs.", "The jobs.", "A job.", "Jobs in S3.", "Makes it."),
        *(
            "Making it.",
            "EC2's answer.",
            "'3 min' for 180.",
            "CreateQueue: a queue.",
            "`it` again.",
        ),
    ],
)
def test_a_public_docstring_begins_with_a_verb(docstring):
    (one,) = found("a.py", FUNCTION.format(docstring))
    assert one == (2, " ".join(docstring.split()[:4]))


@pytest.mark.parametrize(
    "head", ["def _private(a):", "def test_it(a):", "class It:", "@property\ndef it(a):"]
)
def test_other_docstrings_are_nouns_or_sentences(head):
    assert found("a.py", f'{head}\n    """The jobs of a run."""\n') == []
    assert [words for _, words in found("a.py", f'{head}\n    """What runs."""\n')] == [
        "What runs."
    ]
    assert found("a.py", '"""What runs."""\n') == [(1, "What runs.")]
    assert found("a.py", '"""Run jobs."""\n') == []


@pytest.mark.parametrize("docstring", ["Return the jobs.", "Bring it.", "Pass it.", "Address it."])
def test_verbs_are_verbs(docstring):
    assert found("a.py", FUNCTION.format(docstring)) == []


def test_the_whole_repository_is_read_without_what_quotes_the_words():
    read = {str(path.relative_to(plain_english.ROOT)) for path in files()}
    assert {"README.md", "run.py", "worker/Dockerfile", "worker/run-worker.sh", ".ci/run"} <= read
    assert not [name for name in read if re.search(r"plain_english|\.git/|\.venv|_output/", name)]


def files():
    return plain_english.files(plain_english.ROOT)


def test_what_is_found_is_printed_with_its_place_and_a_better_word(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("Good.\nMend it.\n", encoding="utf-8")
    assert plain_english.main([str(tmp_path)]) == 1
    assert f"{page}:2: 'Mend' -> fix\n" in capsys.readouterr().out
    page.write_text("Fix it.\n", encoding="utf-8")
    assert plain_english.main([str(tmp_path)]) == 0
