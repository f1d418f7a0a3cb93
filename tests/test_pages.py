"""The pages' links lead to files and headings that exist."""

from __future__ import annotations

import re

import pytest

from tests import plain_english

PAGES = {path: path.read_text("utf-8") for path in plain_english.files(plain_english.ROOT)}
PAGES = {path: text for path, text in PAGES.items() if path.suffix == ".md"}


def anchors(text):
    """Return the anchors of a page's headings, as GitHub and Sphinx make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path, text):
    """Return the links of a page that lead nowhere."""
    links = re.findall(r"\]\(([^)\s]*)\)", re.sub(r"(?ms)^```.*?^```|`[^`]*`", "", text))
    for link in links:
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not re.match(r"https?:", link) and not (
            target.exists() and (not anchor or anchor in anchors(target.read_text("utf-8")))
        ):
            yield link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(plain_english.ROOT)))
def test_links_lead_somewhere(path):
    assert list(broken(path, PAGES[path])) == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    text = "# One, two\n[a](page.md#one-two) [b](#two) [c](gone.md) [d](https://a.b/c)\n"
    page.write_text(text, "utf-8")
    assert list(broken(page, text)) == ["#two", "gone.md"]
