"""Hundreds of jobs under workers that are killed, paused and stopped at random."""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.site import BUSY_SECONDS, FAULT_SECONDS, FULL, Container, Run, Site, alive, until
from tests.faults.together import together

SEED = 20_260_101
JOBS = 500
VISIBILITY = 6
WORKERS = 2  # in each of two containers
# At least this many kills have to hit a worker in the middle of a job.
LEAST_DOUBLED = 20 if FULL else 3
# What may happen, and how often of ten times.
ACTIONS = ["kill worker"] * 4 + ["kill container"] * 3 + ["pause"] * 1 + ["stop"] * 2


@dataclass
class _Hits:
    """The workers that were hit so far, and the runs that were cut off by that."""

    site: Site
    open: set[Run] = field(default_factory=set)
    paused: set[int] = field(default_factory=set)
    ended: dict[int, int] = field(default_factory=dict)

    def take(self, workers: Iterable[int]) -> None:
        """Note the last run of each of these idle workers, unless its job is done."""
        last = {run.worker: run for run in self.site.runs() if run.worker in workers}
        self.open |= {run for run in last.values() if not self.site.written("records", run.job)}

    def end(self, workers: Iterable[int]) -> None:
        """Note the last runs of workers that have ended."""
        self.ended.update(dict.fromkeys(workers, len(self.site.runs())))
        self.take(workers)

    def cut_off(self) -> set[Run]:
        """Return the runs that were cut off, also those that a job's process wrote down after the
        hit: when it was paused just before, or outlived its worker by milliseconds."""
        return self.open | {
            run
            for number, run in enumerate(self.site.runs())
            if run.process in self.paused or number >= self.ended.get(run.worker, math.inf)
        }


def _do(action: str, container: Container, pick: random.Random, hits: _Hits) -> None:
    """Let something happen to a container."""
    if action == "kill worker" and (workers := container.workers()):
        victim = pick.choice(workers)
        os.kill(victim, signal.SIGKILL)
        until(lambda: not alive(victim), BUSY_SECONDS)
        hits.end([victim])
    elif action == "kill container":
        # So that no worker starts unseen between this look and the kill.
        container.process.send_signal(signal.SIGSTOP)
        workers = container.workers()
        container.kill()
        hits.end(workers)
    elif action == "pause":
        hits.paused.update(container.freeze())
        hits.take(container.workers())
        time.sleep(VISIBILITY + 1)
        container.thaw()
    elif action == "stop":
        workers = container.workers()
        container.stop()
        hits.end(workers)


@together(100, SQS_MESSAGE_VISIBILITY=VISIBILITY, JOB_RETRIES=50)
def test_no_random_kill_loses_a_job_or_has_one_done_twice_without_need(site: Site):
    pick = random.Random(SEED)
    for number in range(JOBS):
        seconds = round(pick.uniform(0.05, 0.5) * (5 if FULL else 1), 2)
        site.send(f"job-{number:03d}", seconds=seconds)
    running = [site.start(DOCKER_CORES=WORKERS) for _ in range(2)]
    hits = _Hits(site)
    happened = defaultdict(int)
    until(site.runs, BUSY_SECONDS)
    end = time.monotonic() + FAULT_SECONDS * (1 if FULL else 2)
    while time.monotonic() < end:
        time.sleep(pick.uniform(0.2, 1.5))
        index, action = pick.randrange(2), pick.choice(ACTIONS)
        _do(action, running[index], pick, hits)
        happened[action] += 1
        if running[index].process.poll() is not None:
            running[index] = site.start(DOCKER_CORES=WORKERS)

    assert len(site.written("records")) < JOBS, "the jobs have not outlasted the kills"
    until(lambda: len(site.written("records")) == JOBS, 5 * BUSY_SECONDS, pause=1)
    until(site.is_settled, VISIBILITY + BUSY_SECONDS)
    site.assert_all_done()
    runs = defaultdict(list)
    for run in site.runs():
        runs[run.job].append(run)
    assert len(runs) == JOBS
    cut_off = hits.cut_off()
    # Only a run that was open when its worker was hit did not finish its job.
    for job, its_runs in runs.items():
        assert set(its_runs[:-1]) <= cut_off, f"seed {SEED}\n{site.story(job)}"
    doubled = len(site.runs()) - JOBS
    print(f"{JOBS} jobs, {doubled} run twice, {len(cut_off)} runs cut off by {dict(happened)}")
    assert LEAST_DOUBLED <= doubled <= len(cut_off), (SEED, doubled, cut_off)
    assert sum(happened.values()) >= 5, happened
    assert all(map(alive, (container.process.pid for container in running)))
