#!/usr/bin/env python3
"""Machine-hours paid and makespan, on the pure model of AWS, over 20 paired seeds for each case.

    python benchmarks/simulation.py [--quick] [--machines N] [--seeds N] [--lag S] [--taken X]

Three policies run the same jobs in the same order, and EC2 interrupts the n-th machine of a fleet
at the same age under each: this monitor's decision function, the reference's policy (15-minute idle
alarms, and a target lowered every 10 minutes), and an oracle that ends each machine in the second
of its last job's end. The monitor pays a machine from launch to termination, with boot,
registration and shutdown; the oracle pays until the last job's end. Needed is the sum of the jobs'
seconds if all places of a machine always worked.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.simulated_case import Case
from benchmarks.simulated_policies import (
    Monitor,
    Oracle,
    Reference,
    oracle_seconds,
)
from benchmarks.simulated_site import Site

# The goals: at most MOST_TIMES the oracle where the mean machine lives an hour or more, else at
# most MOST_MINUTES more for each machine; at most MOST_MAKESPAN the reference's makespan.
MOST_TIMES, LONG_LIFE, MOST_MINUTES, MOST_MAKESPAN = 1.10, 60.0, 4.0, 1.01
INTERRUPTIONS_AN_HOUR = 0.05
FAILING = 0.01
SIGMA = 1.0  # of the lognormal: the longest of 1,000 jobs takes 15 times the mean


def exponential(random: random.Random, count: int, mean: float) -> list[float]:
    """Return job lengths in seconds."""
    return [random.expovariate(1 / mean) for _ in range(count)]


def lognormal(random: random.Random, count: int, mean: float) -> list[float]:
    """Return job lengths in seconds, a few of them very long."""
    return [mean * random.lognormvariate(-(SIGMA**2) / 2, SIGMA) for _ in range(count)]


def straggler(random: random.Random, count: int, mean: float) -> list[float]:
    """Return similar job lengths in seconds, and one that is 15 times as long."""
    lengths = [mean * random.uniform(0.9, 1.1) for _ in range(count)]
    lengths[random.randrange(count)] *= 15
    return lengths


KINDS: dict[str, Callable[[random.Random, int, float], list[float]]] = {
    "exponential": exponential,
    "lognormal": lognormal,
    "straggler": straggler,
}


@dataclass(frozen=True)
class Row:
    """One line of the table: the same kind of run for all seeds."""

    kind: str
    machines: int
    jobs_a_place: int
    mean: float  # seconds
    tasks_per_machine: int = 1
    jobs_per_task: int = 1

    def case(self, seed: int) -> Case:
        """Return the run of one seed."""
        places = self.machines * self.tasks_per_machine * self.jobs_per_task
        chance = random.Random(f"{seed}/{self}")
        return Case(
            self.machines,
            KINDS[self.kind](chance, places * self.jobs_a_place, self.mean),
            seed,
            self.tasks_per_machine,
            self.jobs_per_task,
            failing=FAILING,
        )


@dataclass(frozen=True)
class Result:
    """One seed: seconds paid and makespans in seconds, by policy."""

    needed: float
    monitor: float
    reference: float
    oracle: float
    monitor_makespan: float
    reference_makespan: float
    machines: int

    @property
    def extra_minutes(self) -> float:
        """Return the minutes for each machine that the monitor pays more than the oracle."""
        return (self.monitor - self.oracle) / self.machines / 60

    @property
    def life_minutes(self) -> float:
        """Return the mean life of a machine under the oracle."""
        return self.oracle / self.machines / 60

    @property
    def times_oracle(self) -> float:
        """Return the machine-hours paid by the monitor over those of the oracle."""
        return self.monitor / self.oracle

    @property
    def times_makespan(self) -> float:
        """Return the monitor's makespan over that of the reference's policy."""
        return self.monitor_makespan / self.reference_makespan


def simulate(case: Case) -> Result:
    """Run the case under all three policies."""
    monitor = Site(case, Monitor(case)).run()
    reference = Site(case, Reference(case)).run()
    oracle = Site(case, Oracle(case)).run()
    return Result(
        needed=case.needed_seconds,
        monitor=monitor.paid_seconds(),
        reference=reference.paid_seconds(),
        oracle=oracle_seconds(oracle),
        monitor_makespan=monitor.last_done,
        reference_makespan=reference.last_done,
        machines=monitor.requested,
    )


def rows(machines: int | None, quick: bool) -> Iterator[Row]:
    """Yield the rows of the table: short and long lives, sizes, containers on a machine."""
    for count in (10, 100) if quick else (10, 100, 1000):
        if machines in (None, count):
            for kind in KINDS:
                yield Row(kind, count, jobs_a_place=5, mean=180.0)
                yield Row(kind, count, jobs_a_place=8, mean=600.0)
                if count == 100:
                    yield Row(kind, count, 8, 600.0, tasks_per_machine=2, jobs_per_task=2)


def reached(results: list[Result]) -> bool:
    """Return whether the medians are within the goals."""
    cheap = (
        median(r.times_oracle for r in results) <= MOST_TIMES
        if median(r.life_minutes for r in results) >= LONG_LIFE
        else median(r.extra_minutes for r in results) <= MOST_MINUTES
    )
    return cheap and median(r.times_makespan for r in results) <= MOST_MAKESPAN


HEADER = f"""\
Paid / needed is machine-hours paid over machine-hours needed. All are medians of paired seeds,
except for the mean in brackets. EC2 interrupts {{taken:.0%}} of the machines each hour, SQS's
counts are {{lag:.0f}} s old, {FAILING:.0%} of the jobs fail once.

                                     paid / needed         monitor  extra   life    makespan
machines   jobs  lengths     places  monitor refer. oracle / oracle  min/m    min  / refer. (mean)
"""


def line(row: Row, results: list[Result]) -> str:
    """Return one line of the table."""

    def middle(value: Callable[[Result], float]) -> float:
        return median(value(r) for r in results)

    jobs = len(row.case(0).lengths)
    return (
        f"{row.machines:8} {jobs:6}  {row.kind:11} {row.tasks_per_machine} x {row.jobs_per_task}"
        f"    {middle(lambda r: r.monitor / r.needed):6.3f} "
        f"{middle(lambda r: r.reference / r.needed):6.3f} "
        f"{middle(lambda r: r.oracle / r.needed):6.3f}"
        f"   {middle(lambda r: r.times_oracle):6.3f}"
        f" {middle(lambda r: r.extra_minutes):6.2f}"
        f" {middle(lambda r: r.life_minutes):6.1f}"
        f"   {middle(lambda r: r.times_makespan):6.3f} "
        f"({mean(r.times_makespan for r in results):.3f})"
        f"   {'reached' if reached(results) else 'MISSED'}"
    )


def main() -> int:
    """Print the table; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="up to 100 machines, 5 seeds")
    parser.add_argument("--machines", type=int, help="only this size")
    parser.add_argument("--seeds", type=int, help="of each case (20)")
    parser.add_argument("--lag", type=float, default=30.0, help="age of SQS's counts, seconds")
    parser.add_argument(
        "--taken",
        type=float,
        default=INTERRUPTIONS_AN_HOUR,
        help="share of the machines that EC2 interrupts each hour",
    )
    options = parser.parse_args()
    seeds = options.seeds or (5 if options.quick else 20)
    print(HEADER.format(taken=options.taken, lag=options.lag), end="")
    good = True
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for row in rows(options.machines, options.quick):
            cases = [
                replace(row.case(seed), lag=options.lag, interruptions_an_hour=options.taken)
                for seed in range(seeds)
            ]
            results = pool.map(simulate, cases, chunksize=1)
            print(line(row, results), flush=True)
            good = good and reached(results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
