"""The report as a person uses it: in a browser, from disk, without network."""

from __future__ import annotations

import shutil

import pytest
from selenium import webdriver

from control.reports.page import relative_link, render_page
from tests import report_example
from tests.report_example import PREFIX, PRICES, TIME, failed, record

EVIL = '"></summary><script>window.hurt=1</script><img src=x onerror="window.hurt=1">'
# The flags keep it from calling home; without a sandbox it runs as root, too.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NARROW = 400


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Start Chromium with its own driver."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        pytest.fail(
            "There is no Chromium with its driver. "
            "On Debian and Ubuntu: apt-get install chromium chromium-driver",
            pytrace=False,
        )
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    window.set_page_load_timeout(120)
    yield window
    window.quit()


@pytest.fixture
def opened(chromium, tmp_path):
    """Write a report next to its logs, and open it: (browser, folder)."""

    def open_(done=(), failures=(), **changes):
        report = report_example.make(done, failures, **changes)
        page = render_page(report, list(failures), relative_link(PREFIX), commands=False)
        folder = tmp_path / PREFIX
        folder.mkdir(parents=True)
        (folder / "report.html").write_text(page, encoding="utf-8")
        chromium.get((folder / "report.html").as_uri())
        return chromium, folder

    yield open_
    assert chromium.get_log("browser") == []
    for command, cleared in (
        ("Emulation.setEmulatedMedia", {"features": [], "media": ""}),
        ("Emulation.clearDeviceMetricsOverride", {}),
    ):
        chromium.execute_cdp_cmd(command, cleared)


def shown(browser):
    """Return the names of the failed jobs that are visible."""
    rows = browser.find_elements("css selector", ".failure")
    return [row.find_element("tag name", "b").text for row in rows if row.is_displayed()]


def one(browser, selector):
    return browser.find_element("css selector", selector)


FAILURES = [failed(i) for i in range(28)] + [
    failed(28, "s3://bucket/in.tif does not exist"),
    failed(
        29, "s3://bucket/other.tif does not exist", last_lines=["Traceback", "KeyError: 'Well'"]
    ),
]


def test_failures_are_found_by_what_is_typed(opened):
    browser, _ = opened([record(50)], FAILURES)
    assert len(shown(browser)) == 20
    field = one(browser, "#search")
    field.send_keys("keyerror WELL")
    assert shown(browser) == ["job-29"]
    assert one(browser, "#found").text == "1 job found"
    field.clear()
    field.send_keys("exist")
    assert shown(browser) == ["job-28", "job-29"]
    field.send_keys("no such thing")
    assert shown(browser) == []
    assert one(browser, "#found").text == "No jobs found"


def test_failures_are_chosen_by_their_reason_and_all_can_be_shown(opened):
    browser, _ = opened([], FAILURES)
    one(browser, "#more").click()
    assert len(shown(browser)) == 30
    assert not one(browser, "#more").is_displayed()
    one(browser, "#reason option[value='1']").click()
    assert shown(browser) == ["job-28", "job-29"]


def test_the_link_of_a_failed_job_leads_to_its_log(opened):
    browser, folder = opened([], FAILURES)
    (folder / "logs").mkdir()
    (folder / f"logs/{29:016x}.1.1.txt").write_text("all that job-29 wrote")
    one(browser, "#search").send_keys("job-29")
    one(browser, ".failure:not([hidden]) summary").click()
    assert "KeyError: 'Well'" in one(browser, ".failure[open] pre").text
    one(browser, ".failure[open] a").click()
    assert "all that job-29 wrote" in one(browser, "body").text


def test_nothing_that_a_job_wrote_runs(opened):
    evil = failed(1, EVIL, job_name=EVIL, last_lines=[EVIL], machine=EVIL)
    browser, _ = opened([record(2)], [evil, failed(3, "other")], app_name=EVIL, owner=EVIL)
    one(browser, ".failure summary").click()
    assert one(browser, "pre").text == EVIL
    assert browser.execute_script("return [window.hurt, document.images.length]") == [None, 0]
    assert browser.title == f"{EVIL}, run 20260101T000000Z"


def test_the_policy_of_the_page_stops_a_script_that_escaping_missed(opened, chromium):
    browser, folder = opened([record(2)])
    page = folder / "report.html"
    hurt = page.read_text().replace("</h1>", "</h1><script>window.hurt=1</script>", 1)
    page.write_text(hurt)
    browser.get(page.as_uri())
    assert browser.execute_script("return window.hurt") is None
    (refused,) = browser.get_log("browser")
    assert "Content Security Policy" in refused["message"]


def test_the_page_asks_nobody_for_anything(opened):
    browser, _ = opened([record(i) for i in range(20)], FAILURES)
    asked = browser.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert asked == []


RUNS = {
    "nothing": {},
    "one": {"done": [record(1)]},
    "some": {
        "done": [record(i) for i in range(20)],
        "failures": [*FAILURES, failed(99, "x" * 400, job_name="y" * 150)],
        "machine_time": TIME,
        "prices": PRICES,
        "app_name": "A" * 80,
    },
    "all failed": {"failures": FAILURES, "machine_time": TIME},
}


@pytest.mark.parametrize("changes", RUNS.values(), ids=RUNS.keys())
def test_a_phone_shows_it_without_scrolling_sideways(opened, chromium, changes):
    metrics = {"width": NARROW, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser, _ = opened(**changes)
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= NARROW


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(opened, chromium, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser, _ = opened(**RUNS["some"])
    colors = browser.execute_script(
        "const of = (s, p) => getComputedStyle(document.querySelector(s))[p];"
        "return [of('body', 'backgroundColor'), of('body', 'color'), of('.soft', 'color'),"
        " of('.chart text', 'fill'), of('a', 'color')]"
    )
    paper, *inks = [luminance(color) for color in colors]
    assert (paper > 0.9) == (scheme == "light")
    for ink in inks:
        high, low = max(paper, ink), min(paper, ink)
        # What WCAG 2 asks of text at level AA.
        assert (high + 0.05) / (low + 0.05) >= 4.5


def luminance(color):
    """Return the relative luminance of 'rgb(27, 29, 34)', as WCAG 2 defines it."""
    parts = [int(p) / 255 for p in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_on_paper_all_is_there_but_what_is_clicked(opened, chromium):
    browser, _ = opened(**RUNS["some"])
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not one(browser, "#search").is_displayed()
    assert not one(browser, "#more").is_displayed()
    assert one(browser, ".chart.wide svg").is_displayed()


def test_every_chart_and_field_has_a_name(opened):
    browser, _ = opened(**RUNS["some"])
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {"image", "searchbox", "combobox", "MenuListPopup", "button", "link", "heading"}
    seen = set()
    for node in tree:
        role = node.get("role", {}).get("value", "")
        if role in named - {"MenuListPopup"} and not node.get("ignored"):
            seen.add(role)
            assert node.get("name", {}).get("value"), node
    assert {"image", "searchbox", "combobox", "heading", "button"} <= seen
