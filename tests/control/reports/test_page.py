"""The page of a report, as text: what it says, and that nothing of a job's is more than text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import re
from urllib.parse import unquote

import pytest

from control.reports.page import console_link, no_link, relative_link, render_page
from tests import report_example
from tests.conftest import config_of
from tests.report_example import PREFIX, PRICES, TIME, failed, record

EVIL = '"><script>document.title="gotcha"</script><img src=x onerror=alert(1)>{{7*7}}\'&lt;'
VOID = {"meta", "br", "input"}


def page(done=(), failures=(), link=no_link, commands=True, **changes):
    """Return the page of a run of some records."""
    report = report_example.make(done, failures, **changes)
    return render_page(report, list(failures), link, commands=commands)


class Outline(html.parser.HTMLParser):
    """Tags, attributes and text; fails on a tag that is closed in the wrong place."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script", "title"):
            self.text += data + " "

    @property
    def words(self):
        return " ".join(self.text.split())


RUNS = {
    "nothing": {},
    "waiting": {"submitted": 5},
    "one done": {"done": [record(1)]},
    "one failed": {"failures": [failed(1)]},
    "some": {"done": [record(i) for i in range(20)], "failures": [failed(30), failed(31, "other")]},
    "ended": {"done": [record(i) for i in range(20)], "ended": "2026-01-01T02:00:00Z"},
    "with costs": {"done": [record(1)], "machine_time": TIME, "prices": PRICES},
    "strange": {"done": [{}, {"seconds": "x"}], "failures": [{"last_lines": 7}]},
}


@pytest.mark.parametrize("changes", RUNS.values(), ids=RUNS.keys())
def test_the_page_is_whole_and_needs_nothing_else(changes):
    text = page(**changes)
    outline = Outline(text)
    names = {name for name, _ in outline.attributes}
    assert not names & {"src", "srcset", "action"} and "link" not in outline.tags
    assert not [n for n in names if n.startswith("on")]
    assert "@import" not in text and "url(" not in text
    # The page names no address.
    assert not [v for n, v in outline.attributes if "//" in (v or "")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "No job has been submitted."),
        ({"submitted": 5}, "In progress: 5 of 5 jobs have not ended yet."),
        ({"submitted": 5}, "Too few jobs are done to say what to change."),
        ({"submitted": 5}, "No job has ended yet."),
        ({"submitted": 5}, "The monitor has seen no machine."),
        ({"done": [record(1)]}, "Its only job has ended; the run is about to end."),
        ({"done": [record(1)]}, "The only one took 1.7 min."),
        ({"done": [record(1)]}, "1 job ended, at 2026-01-01 00:01 UTC."),
        ({"done": [record(1)], "cancelled": 1}, "2 jobs ended within 41 s, 0 of them failed."),
        ({"submitted": 1}, "In progress: its only job has not ended yet."),
        ({"done": [record(1)], "submitted": 2}, "In progress: 1 of 2 jobs has not ended yet."),
        (
            {"done": [record(1)], "submitted": 2, "ended": "2026-01-01T02:00:00Z"},
            "The run has ended; 1 of 2 jobs has no record.",
        ),
        (
            {"submitted": 1, "ended": "2026-01-01T02:00:00Z"},
            "The run has ended; its only job has no record.",
        ),
        ({"done": [record(1)]}, "No job has failed."),
        (RUNS["ended"], "The run has ended: no job of 20 failed."),
        ({**RUNS["ended"], "submitted": 22, "cancelled": 2}, "failed, and 2 were cancelled."),
        ({**RUNS["ended"], "submitted": 22}, "The run has ended; 2 of 22 jobs have no record."),
        (
            {"failures": [failed(i) for i in range(3)], "ended": "2026-01-01T02:00:00Z"},
            "all 3 jobs",
        ),
        ({"submitted": 5, "end_reason": "no machine ever came"}, "ended: no machine ever came."),
        (RUNS["some"], "tool exited with code 3"),
        (
            {"machine_time": {**TIME, "seconds": {"m5.xlarge us-east-1a": 18.0}}},
            "Machine time 18 s",
        ),
        (RUNS["with costs"], "$0.32 about, all included"),
        (RUNS["with costs"], "2.0 0.7 % busy with jobs"),
        ({"done": [record(1)], "machine_time": TIME}, "EC2 lists no price"),
        ({"done": [record(1)], "machine_time": TIME, "local": True}, "nothing was charged"),
        ({"done": [record(1)], "local": True}, "A run on this computer says little"),
        (RUNS["one failed"], "See why jobs failed."),
    ],
)
def test_what_it_says(changes, said):
    assert said in Outline(page(**changes)).words


def test_values_of_jobs_are_text_and_nothing_more():
    job = failed(
        1, EVIL, job_name=EVIL, last_lines=[EVIL], machine=EVIL, machine_type=EVIL, log_key=EVIL
    )
    other = {"app_name": EVIL, "owner": EVIL, "bucket": EVIL, "region": EVIL, "end_reason": EVIL}
    clean = page([record(1)], [failed(1)], link=lambda key: key)
    evil = page([record(1)], [job], link=console_link(EVIL, EVIL), **other)
    assert Outline(evil).tags.count("script") == Outline(clean).tags.count("script") == 1
    assert "img" not in Outline(evil).tags
    assert "<script>document" not in evil and "49" not in Outline(evil).words.split()
    assert EVIL in Outline(evil).text


def test_settings_are_text_too():
    config = config_of(extras={"MY_OWN": {"a": EVIL}, "MY_TEXT": EVIL})
    outline = Outline(page(config=config))
    assert outline.tags.count("script") == 1 and EVIL in outline.text


def test_only_the_pages_own_script_may_run():
    text = page([record(1)], [failed(1)])
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'") and "script-src 'unsafe" not in policy


def test_logs_are_linked_in_the_console():
    text = page([], [failed(1)], link=console_link("eu-west-1", "my-bucket"))
    _, link = [value for name, value in Outline(text).attributes if name == "href"]
    assert link.startswith("https://eu-west-1.console.aws.amazon.com/s3/object/my-bucket?region=")
    assert unquote(link).endswith(f"&prefix={PREFIX}attempts/{1:016x}.1.1.exit_code.failed.json")
    assert "python run.py logs job-1" in Outline(text).words


def test_logs_next_to_the_page_are_linked_relatively():
    link = relative_link(PREFIX)
    large = failed(3, log_key=f"{PREFIX}logs/{3:016x}.2.1.txt")
    failures = [failed(1), failed(2, log_key=""), large]
    text = page([], failures, link=link, commands=False)
    why, *links = [value for name, value in Outline(text).attributes if name == "href"]
    assert (why, links) == ("#failures", [f"logs/{1:016x}.1.1.txt", f"logs/{3:016x}.2.1.txt"])
    assert "It left no log." in Outline(text).words
    assert "python run.py logs" not in text and "run.py retry" not in text
    assert link("elsewhere/x.txt") == ""


@pytest.mark.parametrize(
    ("line", "name", "jobs", "rows"),
    [
        ("x" * 100, "job", 5050, 5000),
        ("<" * 200, "job", 5050, 4500),
        ("\x1b[31mé" * 20, "job", 5050, 5000),
        ("x", '"' * 1000, 1000, 600),
    ],
    ids=["plain", "escaped", "not ASCII", "names"],
)
def test_a_page_stays_below_5_mb_however_many_jobs_failed(line, name, jobs, rows):
    failures = [failed(i, last_lines=[line] * 30, job_name=f"{i}{name}") for i in range(jobs)]
    text = page([], failures, submitted=100_000)
    assert len(text.encode()) < 5_000_000
    listed = text.count('<details class="failure"')
    assert rows <= listed < jobs
    assert f"This page lists {listed:,} of them" in Outline(text).words


def test_a_sample_is_called_a_sample():
    report = report_example.make([record(i) for i in range(20)])
    said = Outline(render_page(dataclasses.replace(report, done=98_000), [], no_link)).words
    assert "From 20 of 98,000 done jobs, chosen at random." in said


def test_a_failed_job_names_its_last_attempt_as_logs_takes_it():
    of_a_retry = failed(1, submission=2, receive=4)
    at_once = failed(2, receive=1, attempt=1)
    words = Outline(page([], [of_a_retry, at_once])).words
    assert "attempt 2.4 (3 of 3), after" in words
    assert "attempt 1.1 (1 of 3, failed for good: another would not help), after" in words


def test_last_lines_are_the_end_of_the_log_in_whole_lines():
    lines = [f"line {i} " + "x" * 90 for i in range(30)]
    text = page([], [failed(1, last_lines=lines)])
    (shown,) = re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)
    assert shown.splitlines() == lines[-15:]
