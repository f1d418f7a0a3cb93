"""The simulation of scale-in counts honestly: small, seeded, the same each time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.simulated_case import TIMINGS, Case
from benchmarks.simulated_policies import Monitor, Oracle, Reference, oracle_seconds
from benchmarks.simulated_site import Site
from benchmarks.simulation import Result, Row, reached, rows, simulate

CASE = Row("exponential", machines=10, jobs_a_place=6, mean=400.0).case(seed=1)
CALM = replace(CASE, interruptions_an_hour=0.0, failing=0.0)


@pytest.mark.parametrize("kind", ["exponential", "lognormal", "straggler"])
def test_the_oracle_pays_least_and_the_monitor_less_than_the_reference(kind):
    result = simulate(Row(kind, machines=10, jobs_a_place=6, mean=400.0).case(seed=3))
    assert result.needed < result.oracle < result.monitor < result.reference


def test_the_same_seed_gives_the_same_figures():
    assert simulate(CASE) == simulate(CASE)


@pytest.mark.parametrize("policy", [Monitor, Reference, Oracle])
def test_every_job_is_done_and_every_machine_ends(policy):
    case = replace(CASE, interruptions_an_hour=1.0, failing=0.1)
    site = Site(case, policy(case)).run()
    assert (site.done, len(site.queue), site.in_flight) == (60, 0, 0)
    assert site.interrupted > 0
    assert all(i.state == "terminated" for i in site.world.instances.values())


def test_a_machine_is_paid_from_its_launch_until_it_is_terminated():
    """One job of an hour on one machine: nothing of its life is left out."""
    case = Case(machines=1, lengths=(3600.0,), seed=1)
    site = Site(case, Monitor(case)).run()
    (instance,) = site.world.instances.values()
    fixed = TIMINGS.task_start + TIMINGS.shutdown
    boot = (TIMINGS.boot + TIMINGS.register) * (1 - TIMINGS.jitter)
    assert site.paid_seconds() == instance.ended - instance.launched > 3600 + fixed + boot
    oracle = Site(case, Oracle(case)).run()
    assert 3600 + TIMINGS.task_start + boot <= oracle_seconds(oracle) < site.paid_seconds()


def test_a_second_machine_that_finds_no_job_is_paid_by_the_monitor_and_not_by_the_oracle():
    case = Case(machines=2, lengths=(10.0, 4000.0), seed=2)
    case_of_one = replace(case, machines=1, lengths=(4000.0,))
    monitor = Site(case, Monitor(case)).run()
    assert monitor.paid_seconds() > Site(case_of_one, Monitor(case_of_one)).run().paid_seconds()


def test_the_reference_lets_a_machine_idle_for_a_quarter_of_an_hour():
    case = Case(machines=2, lengths=(60.0, 7200.0), seed=1)
    reference = Site(case, Reference(case)).run()
    monitor = Site(case, Monitor(case)).run()
    idled = min(i.ended - i.launched for i in reference.world.instances.values())
    sooner = min(i.ended - i.launched for i in monitor.world.instances.values())
    assert 15 * 60 < idled < 20 * 60
    assert sooner < idled - 9 * 60


def test_calm_runs_take_the_same_time_under_every_policy():
    sites = [Site(CALM, policy(CALM)).run() for policy in (Monitor, Reference, Oracle)]
    assert len({site.last_done for site in sites}) == 1
    assert all(site.interrupted == 0 for site in sites)


def test_the_monitor_ends_no_job_and_launches_no_machine_too_many():
    site = Site(CALM, Monitor(CALM)).run()
    assert site.cut_short == 0
    assert len(site.world.instances) == CALM.machines


@pytest.mark.parametrize("spares", [True, False])
def test_nothing_depends_on_whether_draining_spares_protected_tasks(spares):
    case = replace(CASE, interruptions_an_hour=0.5)
    site = Site(case, Monitor(case))
    site.world.draining_spares_protected = spares
    assert site.run().done == 60
    assert site.cut_short == 0


class TwoMonitors:
    """A laptop and a Lambda that step in the same second and share their memory."""

    reports, packs = True, False

    def __init__(self, case):
        self.monitors = Monitor(case), Monitor(case)

    def look(self, site):
        first, second = self.monitors
        first.look(site)
        if not site.over:
            second.memory, second.alarms = first.memory, first.alarms
            second.look(site)
            first.memory, first.alarms = second.memory, second.alarms


def test_two_monitors_do_no_more_harm_than_one():
    one = Site(CALM, Monitor(CALM)).run()
    two = Site(CALM, TwoMonitors(CALM)).run()
    assert (two.done, two.cut_short, len(two.world.instances)) == (60, 0, CALM.machines)
    assert two.last_done == one.last_done
    assert two.paid_seconds() <= one.paid_seconds()


def test_spot_capacity_that_never_comes_is_not_waited_for_at_the_end():
    """Six of ten machines start; others would start at the end and find nothing to do."""
    site = Site(CALM, Monitor(CALM))
    site.world.capacity = {"*": 6}
    site.run()
    assert site.done == 60 and len(site.world.instances) == 6


def result(**changes):
    values = {
        "needed": 1.0,
        "monitor": 36_000.0 * 1.05,
        "reference": 50_000.0,
        "oracle": 36_000.0,
        "monitor_makespan": 100.0,
        "reference_makespan": 100.0,
        "machines": 10,
    }
    return Result(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"monitor": 36_000 * 1.11}, False),
        ({"monitor_makespan": 102.0}, False),
        ({"oracle": 12_000.0, "monitor": 12_000.0 + 10 * 239}, True),
        ({"oracle": 12_000.0, "monitor": 12_000.0 + 10 * 241}, False),
    ],
    ids=[
        "fine",
        "long lives cost too much",
        "too slow",
        "short lives",
        "short lives cost too much",
    ],
)
def test_goals_are_judged_by_the_median(changes, expected):
    assert reached([result(**changes)] * 3 + [result()] * 2) is expected


def test_the_table_has_every_kind_of_job_at_every_size():
    shown = {(row.kind, row.machines) for row in rows(None, quick=False)}
    assert shown == {
        (kind, size)
        for kind in ("exponential", "lognormal", "straggler")
        for size in (10, 100, 1000)
    }
    for row in rows(10, quick=True):
        lengths = row.case(seed=0).lengths
        assert math.isclose(sum(lengths) / len(lengths), row.mean, rel_tol=0.6)
