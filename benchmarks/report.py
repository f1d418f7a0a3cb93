#!/usr/bin/env python3
"""How long `report` takes for a recorded run, how large its page is, and how fast it opens.

    python benchmarks/report.py --jobs 100000 --failed 2000

The S3 is recorded_run.py on loopback, the reader a process of its own, imports included; a page is
opened from disk in headless Chromium, with an empty profile each time. Prices of EC2 are given.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks import recorded_run  # noqa: E402
from benchmarks.recorded_jobs import APP_NAME, BUCKET, Shape  # noqa: E402

KIND = "m5.xlarge us-east-1a"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def make(run_id: str, path: Path) -> None:
    """What `report` does, in this process; prints what it took."""
    began = time.perf_counter()
    import boto3

    from control.aws.session import AWS
    from control.records import costs, store
    from control.reports import collect
    from control.reports.make import make_report
    from control.reports.page import console_link, render_page

    aws = AWS(boto3.Session())
    run = store.load(aws.s3, BUCKET, APP_NAME, run_id)
    reading = collect.read_run(aws.s3, run)
    read = time.perf_counter()
    cost = costs.machine_cost(run.machine_time, {KIND: [(0.0, 0.07)]})
    made = make_report(run, reading, cost, time.time())
    link = console_link(run.region, run.bucket)
    path.write_text(render_page(made, reading.failed, link), encoding="utf-8")
    ended = time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_SELF)
    row("read", f"{read - began:.1f} s")
    row("report and page", f"{ended - read:.1f} s")
    row("in all", f"{ended - began:.1f} s")
    row("CPU", f"{used.ru_utime + used.ru_stime:.1f} s")
    row("peak memory", f"{used.ru_maxrss / 1000:.0f} MB")
    row("read of done jobs", f"{len(reading.done):,} of {reading.count('done'):,}")
    row("read of failed jobs", f"{len(reading.failed):,} of {reading.count('failed'):,}")
    row("page", f"{path.stat().st_size / 1e6:.2f} MB")
    counts = (made.submitted, made.done, made.skipped, made.failed, made.unfinished)
    row("counts", " ".join(map(str, counts)))


def row(what: str, figure: str) -> None:
    print(f"{what:24}{figure:>24}", flush=True)


def open_page(path: Path) -> None:
    """Seconds from the start of loading until the page is there and its search answers."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        browser = webdriver.Chrome(options=options, service=service)
        try:
            browser.get(path.as_uri())
            loaded, painted = browser.execute_script(
                "return [performance.getEntriesByType('navigation')[0].loadEventEnd, "
                "performance.getEntriesByName('first-contentful-paint')[0]?.startTime]"
            )
            searched = browser.execute_script(
                "const began = performance.now(), field = document.getElementById('search');"
                "field.value = 'W19'; field.dispatchEvent(new Event('input'));"
                "document.body.offsetHeight; return performance.now() - began"
            )
        finally:
            browser.quit()
    row("first paint", f"{painted or 0:.0f} ms")
    row("loaded", f"{loaded:.0f} ms")
    row("first search", f"{searched:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--failed", type=int, default=2_000)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where the page is left")
    parser.add_argument("--made-here", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.made_here:
        make(args.made_here[0], Path(args.made_here[1]))
        return
    shape = Shape(
        jobs=args.jobs,
        failed=args.failed,
        skipped=args.jobs // 300,
        recovered=args.jobs // 100,
        hours=20.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        page = args.keep or Path(folder) / "report.html"
        with recorded_run.serving(shape) as served:
            command = [sys.executable, __file__, "--made-here", shape.run_id, str(page)]
            subprocess.run(command, env={**os.environ, **served.environment()}, check=True)
            row("CPU of the S3", f"{served.server.counts().cpu:.1f} s")
        for _ in range(3):
            open_page(page.resolve())
    print(f"load: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
