"""Advice as a table: a run, and the advice for the next one."""

from __future__ import annotations

import dataclasses

import pytest

from control.reports import advice, report_model
from tests import report_example
from tests.conftest import config_of

CONFIG = config_of(
    **{"DOCKER_CORES": 4, "CPU_SHARES": 4096, "MEMORY": 15_000},
    **{"JOB_TIMEOUT": 3600, "EBS_VOL_SIZE": 30},
)


def shape(mean, most=None):
    most = mean if most is None else most
    return report_model.Spread(
        1000, mean, mean, mean, most, most, most, report_model.Histogram(1.0, (1000,), 0)
    )


# Four jobs at once that fill processors and memory, and nothing went wrong.
JOBS = report_model.Jobs(
    seconds=shape(600.0, 900.0),
    memory_mb=shape(3000.0, 3400.0),
    cores=shape(0.95),
    disk_mb=shape(500.0),
    download_share=0.01,
    upload_share=0.01,
    output_bytes=0.0,
    output_files=1.0,
)
GOOD = dataclasses.replace(
    report_example.make(config=CONFIG),
    done=1000,
    read=report_model.Read(done=1000, failed=0, unreadable=0),
    machines=report_model.Machines("", "", 60.0, (), hours=10.0, places=4, busy_share=0.9),
    jobs=JOBS,
)
KILLED = {"failed_by_cause": {"out_of_memory": 34}}
LATE = {"failed_by_cause": {"timeout": 5}}


def changed(**changes):
    """Return GOOD with changes: jobs__cores=... is that of report.jobs.cores."""
    report = GOOD
    for name, value in changes.items():
        whole, _, part = name.partition("__")
        if part:
            value = dataclasses.replace(getattr(report, whole), **{part: value})
        report = dataclasses.replace(report, **{whole: value})
    return report


def said(report, **settings):
    config = dataclasses.replace(CONFIG, **settings)
    return list(advice.advise(dataclasses.replace(report, config=config)))


def test_a_run_that_fits_needs_no_advice():
    assert said(GOOD) == []


SMALL = {"jobs__memory_mb": shape(1500.0, 1900.0), "jobs__cores": shape(0.5)}
TABLE = {
    "more jobs fit": (
        SMALL,
        {},
        "Jobs peaked at 1.9 GB of 15 GB: 7 at once would fit instead of 4, cutting the cost of "
        "machines by about 40 %.",
        "DOCKER_CORES = 7",
    ),
    "as many as the processors allow": (
        {"jobs__memory_mb": shape(1000.0), "jobs__cores": shape(0.8)},
        {},
        "5 at once would fit instead of 4",
        "DOCKER_CORES = 5",
    ),
    "no more than four times as many": (
        {"jobs__memory_mb": shape(50.0), "jobs__cores": shape(0.01)},
        {},
        "16 at once would fit instead of 4",
        "DOCKER_CORES = 16",
    ),
    "memory is full, processors wait": (
        {"jobs__memory_mb": shape(3300.0), "jobs__cores": shape(0.2)},
        {},
        "The processors were 20 % busy",
        "",
    ),
    "processors are full, memory is not": (
        {"jobs__memory_mb": shape(1000.0), "jobs__cores": shape(1.0)},
        {},
        "at most 27 % of MEMORY",
        "MEMORY = 5500",
    ),
    "out of memory": (
        KILLED,
        {},
        "34 jobs ran out of memory: 4 jobs at once share 15 GB.",
        "DOCKER_CORES = 2",
    ),
    "out of memory, alone": (
        KILLED,
        {"DOCKER_CORES": 1, "CPU_SHARES": 1024},
        "Give more MEMORY",
        "MEMORY = 30000",
    ),
    "timeout far too long": (
        {"jobs__seconds": shape(300.0, 400.0)},
        {"JOB_TIMEOUT": 6 * 3600},
        "JOB_TIMEOUT is 6 h, and no job that was done took more than 6.7 min. 20 min would end",
        "JOB_TIMEOUT = 1200",
    ),
    "jobs hung until the timeout": (
        {"jobs__seconds": shape(300.0, 400.0), **LATE},
        {"JOB_TIMEOUT": 6 * 3600},
        "5 jobs reached it.",
        "JOB_TIMEOUT = 1200",
    ),
    "timeout too short": (
        {"jobs__seconds": shape(3000.0, 3500.0), **LATE},
        {},
        "5 jobs took longer than JOB_TIMEOUT (60 min).",
        "JOB_TIMEOUT = 7200",
    ),
    "downloads": (
        {"jobs__download_share": 0.08, "jobs__upload_share": 0.02},
        {},
        "Downloads took 8 % of the jobs' time, uploads 2 %.",
        "",
    ),
    "mostly downloads": ({"jobs__download_share": 0.5}, {}, "in one region", ""),
    "interruptions": (
        {"attempts__interrupted": 100},
        {},
        "100 attempts of 1,100 were interrupted by AWS or by scale-in. With more machine types",
        "",
    ),
    "interruptions with a price limit": (
        {"attempts__interrupted": 100},
        {"MACHINE_PRICE": 0.05},
        "A price limit",
        "MACHINE_PRICE = None",
    ),
    "interruptions of many types": (
        {"attempts__interrupted": 100},
        {"MACHINE_TYPE": tuple("abcdef")},
        "Shorter jobs",
        "",
    ),
    "attempts that failed": (
        {"attempts": report_model.Attempts(300, 0, 200_000.0)},
        {},
        "25 % of the jobs' time went into attempts",
        "",
    ),
    "idle machines": ({"machines__busy_share": 0.4}, {}, "jobs filled 40 % of the places", ""),
    "short jobs": (
        {"jobs__seconds": shape(2.0, 3.0)},
        {"JOB_TIMEOUT": 60},
        "Half of the jobs took less than 2 s.",
        "",
    ),
    "too much disk": (
        {},
        {"EBS_VOL_SIZE": 200},
        "30 GB per machine is enough",
        "EBS_VOL_SIZE = 30",
    ),
    "full disk": (
        {"failed_by_cause": {"disk_full": 1}},
        {"EBS_VOL_SIZE": 200},
        "1 job ran out of disk space: each machine has 200 GB",
        "EBS_VOL_SIZE = 400",
    ),
}


@pytest.mark.parametrize("changes, settings, text, setting", TABLE.values(), ids=TABLE.keys())
def test_what_is_said(changes, settings, text, setting):
    (one,) = said(changed(**changes), **settings)
    assert text in one.text
    assert one.settings == setting


@pytest.mark.parametrize(
    "changes",
    [
        {**SMALL, "read__done": 4},
        {"jobs__memory_mb": shape(2900.0), "jobs__cores": shape(0.9)},
        {"attempts__interrupted": 2, "done": 5},
        {"attempts__interrupted": 30},
        {"attempts__failed": 2, "attempts__seconds": 1e9},
        {"jobs__seconds": shape(2.0), "done": 999, "read__done": 999, "jobs__cores": shape(0.9)},
        {"machines__busy_share": 0.1, "machines__hours": 0.2},
    ],
    ids=[
        *("too few jobs", "hardly more would fit", "two interruptions", "few interruptions"),
        *("two failures", "short, but few jobs", "hardly any machine"),
    ],
)
def test_what_is_not_worth_saying(changes):
    assert said(changed(**changes), JOB_TIMEOUT=60) == []


def test_a_run_without_a_done_job_is_no_error():
    nothing = {"jobs": None, "done": 0, "read__done": 0}
    assert said(changed(**nothing)) == []
    assert said(changed(**nothing, **LATE), JOB_TIMEOUT=39_600) == []


def test_a_run_on_this_computer_is_not_compared_with_settings_of_machines():
    trouble = {**SMALL, **KILLED, "machines__busy_share": 0.2, "jobs__download_share": 0.5}
    assert len(said(changed(**trouble), EBS_VOL_SIZE=200)) > 3
    assert said(changed(**trouble, local=True), EBS_VOL_SIZE=200) == []


def test_what_saves_most_comes_first():
    found = said(changed(**SMALL, jobs__download_share=0.1, machines__busy_share=0.2))
    assert [one.saving > 0 for one in found] == [True, False, False]


def test_the_new_setting_fits_what_it_was_made_from():
    """With DOCKER_CORES as advised, the same jobs fill no more memory than there is."""
    for peak in range(100, 15_000, 250):
        for used in (0.05, 0.3, 0.7, 1.0):
            report = changed(jobs__memory_mb=shape(float(peak)), jobs__cores=shape(used))
            for one in said(report):
                if one.settings.startswith("DOCKER_CORES"):
                    at_once = int(one.settings.split("=")[1])
                    assert at_once > 4 and at_once * peak <= CONFIG.MEMORY
                    assert at_once * used <= 4 * 1.1 + 1e-9
