"""A run on the pure model of AWS, under a simulated clock: fleet, service, queue and workers.

The model has neither queue nor workers; they are here. Workers take jobs, protect their container,
and return their job when EC2 takes their machine. A policy scales the fleet, every `POLL` seconds.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from benchmarks.simulated_case import (
    BACKOFF,
    CLUSTER,
    IDLE_BEFORE_RELEASE,
    IDLE_SECONDS,
    LONGEST_POLL,
    MACHINE_TYPES,
    MESSENGER,
    POLL,
    SECONDS_TO_GIVE_BACK,
    TIMINGS,
    VISIBILITY,
    Case,
    fleet_request,
    service_request,
)
from embedded_aws.model import Refused, World, advance
from embedded_aws.model import events as e
from embedded_aws.model.things import NEVER
from embedded_aws.model.world import Effect, KillTask, StartTask


class Policy(Protocol):
    """Scales the fleet. With `reports`, protection and CPU matter to it; with `packs`, a returned
    job goes where it prolongs a machine's life least."""

    reports: bool
    packs: bool

    def look(self, site: Site) -> None:
        """Take one step of the monitor; set `site.over` when the run has ended."""


@dataclass
class Container:
    """A task's workers: the number of free places, and the running jobs with their ends."""

    arn: str
    machine: str
    free: int
    jobs: dict[int, float] = field(default_factory=dict)
    idle_since: float = 0.0
    protected: bool | None = None  # the protection that it last requested
    stopping: bool = False


class Site:
    """One run: everything that happens, in the order of its time."""

    def __init__(self, case: Case, policy: Policy) -> None:
        self.case, self.policy = case, policy
        self.now, self.over = 0.0, False
        self.random = random.Random(f"{case.seed}/order")
        chance = random.Random(f"{case.seed}/failing").random
        self.will_fail = {job for job in range(len(case.lengths)) if chance() < case.failing}
        self.world = World(MACHINE_TYPES, TIMINGS, seed=case.seed)
        self.queue = deque(range(len(case.lengths)))
        self.in_flight = 0
        self.done = 0
        self.interrupted = 0  # jobs returned, for any reason
        self.cut_short = 0  # of those, by a policy's doing and not by EC2's
        self.last_done = 0.0
        self.counted = (len(self.queue), 0)  # (visible, in flight) as SQS reports them
        self.containers: dict[str, Container] = {}
        self.idle: dict[str, Container] = {}
        self.last_work: dict[str, float] = {}  # when each machine last worked
        self.alarms: set[str] = set()  # machines that end when they idle for IDLE_SECONDS
        self._idle_since: dict[str, float] = {}  # NEVER while the machine works
        self._machines_seen = 0
        self._outbox: list[e.Event] = []
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._start()

    def _start(self) -> None:
        """Do what setup, submitJob and startCluster do."""
        case = self.case
        at_once = case.tasks_per_machine * case.jobs_per_task
        self.requested = min(case.machines, math.ceil(len(case.lengths) / at_once))
        self.do(e.CreateCluster(CLUSTER))
        (self.fleet,) = self.do(fleet_request(self.requested))
        self.do(service_request(case.tasks_per_machine, self.requested))
        first = POLL * random.Random(f"{case.seed}/poll").random()
        self._at(max(0.0, first - case.lag), self._count)
        self._at(first, self._look)

    def run(self) -> Site:
        """Let everything happen until the policy has ended the run and the last machine."""
        while not (self.over and all(i.ended < NEVER for i in self.world.instances.values())):
            at = min(self._heap[0][0] if self._heap else NEVER, self.world.wake)
            if at == NEVER:
                raise RuntimeError(f"Nothing more happens at {self.now}.")
            self.now = max(self.now, at)
            if self.world.wake <= at:
                self._advance([])
            while self._heap and self._heap[0][0] <= at:
                _, _, action, arguments = heapq.heappop(self._heap)
                action(*arguments)
        return self

    def do(self, *events: e.Event) -> list[Any]:
        """Send requests to AWS now; return the answers, among them Refused."""
        return self._advance(list(events))

    def paid_seconds(self) -> float:
        """Return the seconds of all machines from launch to termination."""
        return sum(i.ended - i.launched for i in self.world.instances.values())

    def put_alarms(self, machines: Iterable[str]) -> None:
        """Let CloudWatch end these machines once they idle for IDLE_SECONDS (CloudWatch guide,
        UsingAlarmActions). A fleet of type maintain replaces them."""
        for machine in machines:
            self.alarms.add(machine)
            self._check_alarm(machine)

    def _check_alarm(self, machine: str) -> None:
        """End a machine that has idled. One that does not run sends no data (CloudWatch guide,
        alarms-and-missing-data)."""
        idle = self.now - self._idle_since[machine]
        running = self.world.instances[machine].state == "running"
        if machine in self.alarms and running and idle >= IDLE_SECONDS:
            self.do(e.TerminateInstances((machine,)))

    def _works_now(self, machine: str, works: bool) -> None:
        idles = self._idle_since[machine] < NEVER
        if works:
            self._idle_since[machine] = NEVER
        elif not idles:
            self._idles_from(machine, self.now)

    def _idles_from(self, machine: str, when: float) -> None:
        self._idle_since[machine] = when
        self._at(_tick(when + IDLE_SECONDS), self._check_alarm, machine)

    def _at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, action, arguments))

    def _advance(self, events: list[e.Event]) -> list[Any]:
        self.world, effects, answers = advance(self.world, events, self.now)
        instances = self.world.instances
        if len(instances) > self._machines_seen:
            for number, instance_id in enumerate(islice(instances, self._machines_seen, None)):
                self._launched(instance_id, self._machines_seen + number)
            self._machines_seen = len(instances)
        for effect in effects:
            self._make_real(effect)
        return answers

    def _launched(self, instance_id: str, number: int) -> None:
        """Plan the interruption: the n-th machine of a seed has the same age under every policy."""
        self._idles_from(instance_id, _tick(self.world.instances[instance_id].due))
        rate = self.case.interruptions_an_hour
        if rate:
            age = 3600 * random.Random(f"{self.case.seed}/{number}").expovariate(rate)
            self._at(self.now + age, self._interrupt, instance_id)

    def _interrupt(self, instance_id: str) -> None:
        if self.world.instances[instance_id].state not in ("pending", "running"):
            return
        if not self.over:
            self.do(e.InterruptInstance(instance_id))
        for container in list(self.containers.values()):
            if container.machine == instance_id:
                self._stop(container, SECONDS_TO_GIVE_BACK)

    def _make_real(self, effect: Effect) -> None:
        if isinstance(effect, StartTask):
            host = self.world.tasks[effect.task].container_instance
            machine = self.world.container_instances[host].instance_id
            container = Container(effect.task, machine, self.case.jobs_per_task)
            container.idle_since = self.now
            self.containers[effect.task] = self.idle[effect.task] = container
            self._feed(container)
        elif effect.task in self.containers:
            container = self.containers[effect.task]
            if isinstance(effect, KillTask):
                self._give_back(container, VISIBILITY)
                self._exit(container)
            else:
                if self.world.instances[container.machine].notice_at == NEVER:
                    self.cut_short += len(container.jobs)
                self._stop(container, SECONDS_TO_GIVE_BACK)

    def _feed(self, container: Container) -> None:
        """Take jobs for all free places."""
        case = self.case
        while container.free and self.queue:
            job = self.queue.popleft()
            end = self.now + case.lengths[job]
            container.free -= 1
            container.jobs[job] = end
            self.in_flight += 1
            self._at(end, self._finish, container, job, end)
        if container.jobs and container.protected is not True:
            self._report(container, True)
        if not container.free:
            self.idle.pop(container.arn, None)

    def _finish(self, container: Container, job: int, end: float) -> None:
        if container.jobs.get(job) != end:
            return  # it was returned before its end
        del container.jobs[job]
        container.free += 1
        container.idle_since = self.last_work[container.machine] = self.now
        if job in self.will_fail:
            self.will_fail.remove(job)
            self._at(self.now + BACKOFF, self._visible, job)
        else:
            self.in_flight -= 1
            self.done += 1
            self.last_done = self.now
        self.idle[container.arn] = container
        self._feed(container)
        if not container.jobs and self.policy.reports:
            self._at(self.now + IDLE_BEFORE_RELEASE, self._release, container)

    def _visible(self, job: int) -> None:
        """Put a job back into the queue: any polling worker may get it."""
        self.in_flight -= 1
        self.queue.append(job)
        if self.idle:
            self._feed(self._taker())

    def _taker(self) -> Container:
        """Choose the worker that gets a message: any that polls."""
        if self.policy.packs:
            return max(
                self.idle.values(),
                key=lambda c: (self._works(c), self.last_work.get(c.machine, 0.0)),
            )
        return self.random.choice(list(self.idle.values()))

    def _release(self, container: Container) -> None:
        idle = self.now - container.idle_since
        if not container.jobs and container.protected and idle >= IDLE_BEFORE_RELEASE:
            self._report(container, False)

    def _report(self, container: Container, busy: bool) -> None:
        container.protected = busy
        if not self.policy.reports or container.stopping:
            return
        # The renewals of a worker are left out: one protection lasts for the run.
        self._send(e.ProtectTask(CLUSTER, container.arn, busy, 2880 if busy else None))
        works = self._works(container)
        self._at(self.now + MESSENGER, self._works_now, container.machine, works)

    def _works(self, container: Container) -> bool:
        if self.case.tasks_per_machine == 1:
            return bool(container.jobs)
        return any(c.jobs for c in self.containers.values() if c.machine == container.machine)

    def _stop(self, container: Container, seconds: float) -> None:
        """Stop a container at SIGTERM or at the notice of an interruption: its jobs go back."""
        if container.stopping:
            return
        container.stopping = True
        self.idle.pop(container.arn, None)
        poll = min(LONGEST_POLL, max(1.0, (self.now - container.idle_since) / 8))
        working = bool(container.jobs)
        self._give_back(container, seconds)
        self._at(self.now + (seconds if working else poll), self._exit, container)

    def _give_back(self, container: Container, seconds: float) -> None:
        for job in container.jobs:
            self.interrupted += 1
            self._at(self.now + seconds, self._visible, job)
            self.last_work[container.machine] = self.now
        container.jobs = {}

    def _exit(self, container: Container) -> None:
        if self.containers.pop(container.arn, None) is not None:
            self.idle.pop(container.arn, None)
            self._send(e.TaskExited(container.arn, 0))

    def _send(self, event: e.Event) -> None:
        if not self._outbox:
            self._at(self.now + MESSENGER, self._deliver)
        self._outbox.append(event)

    def _deliver(self) -> None:
        events, self._outbox = self._outbox, []
        for answer in self.do(*events):
            if isinstance(answer, Refused) and answer.code not in ("TASK_NOT_VALID", "MISSING"):
                raise answer

    def _count(self) -> None:
        self.counted = (len(self.queue), self.in_flight)

    def _look(self) -> None:
        self.policy.look(self)
        if not self.over:
            self._at(self.now + POLL - self.case.lag, self._count)
            self._at(self.now + POLL, self._look)


def _tick(when: float) -> float:
    """Return the next moment at which the model lets something happen."""
    return math.ceil(when / TIMINGS.tick) * TIMINGS.tick
