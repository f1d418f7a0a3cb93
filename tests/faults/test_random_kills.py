"""Hundreds of jobs under workers that are killed, paused and stopped at random."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import defaultdict

from tests.faults.site import BUSY_SECONDS, FAULT_SECONDS, FULL, Container, Site, alive, until
from tests.faults.together import together

SEED = 20_260_101
JOBS = 500
VISIBILITY = 6
WORKERS = 2  # in each of two containers
# What may happen, and how often of ten times.
ACTIONS = ["kill worker"] * 4 + ["kill container"] * 3 + ["pause"] * 1 + ["stop"] * 2


def _do(action: str, container: Container, pick: random.Random) -> set[int]:
    """Let something happen to a container; the workers whose jobs it may have cut off."""
    workers = container.workers()
    if action == "kill worker" and workers:
        victim = pick.choice(workers)
        os.kill(victim, signal.SIGKILL)
        return {victim}
    if action == "kill container":
        # So that no worker starts unseen between this look and the kill.
        container.process.send_signal(signal.SIGSTOP)
        workers = container.workers()
        container.kill()
        return set(workers)
    if action == "pause":
        container.freeze()
        paused = set(container.workers())
        time.sleep(VISIBILITY + 1)
        container.thaw()
        return paused
    if action == "stop":
        hit = set(workers)
        container.stop()
        return hit
    return set()


@together(100, SQS_MESSAGE_VISIBILITY=VISIBILITY, JOB_RETRIES=50)
def test_no_random_kill_loses_a_job_or_has_one_done_twice_without_need(site: Site):
    pick = random.Random(SEED)
    for number in range(JOBS):
        seconds = round(pick.uniform(0.02, 0.2) * (5 if FULL else 1), 2)
        site.send(f"job-{number:03d}", seconds=seconds)
    running = [site.start(DOCKER_CORES=WORKERS) for _ in range(2)]
    hit: list[int] = []
    happened = defaultdict(int)
    until(site.runs, BUSY_SECONDS)
    end = time.monotonic() + FAULT_SECONDS * (1 if FULL else 2)
    while time.monotonic() < end:
        time.sleep(pick.uniform(0.2, 1.5))
        index, action = pick.randrange(2), pick.choice(ACTIONS)
        hit += _do(action, running[index], pick)
        happened[action] += 1
        if running[index].process.poll() is not None:
            running[index] = site.start(DOCKER_CORES=WORKERS)

    until(lambda: len(site.written("records")) == JOBS, 5 * BUSY_SECONDS, pause=1)
    until(site.is_settled, VISIBILITY + BUSY_SECONDS)
    site.assert_all_done()
    runs = defaultdict(list)
    for run in site.runs():
        runs[run.job].append(run.worker)
    assert len(runs) == JOBS
    # Whoever did not finish a job was hit: only so was it run again.
    for job, workers in runs.items():
        assert set(workers[:-1]) <= set(hit), (SEED, job, workers)
    doubled = len(site.runs()) - JOBS
    assert doubled <= len(hit), (SEED, doubled, hit)
    assert sum(happened.values()) >= 5, happened
    assert all(map(alive, (container.process.pid for container in running)))
