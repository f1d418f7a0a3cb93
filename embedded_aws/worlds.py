"""The worlds of the model in real time: they take requests, and their tasks really run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from embedded_aws.model import KillTask, Refused, StartTask, StopTask, Timings, World, advance
from embedded_aws.model.events import Event, TaskExited, TaskNotStarted
from embedded_aws.model.things import MachineType, Task
from embedded_aws.model.world import Effect
from embedded_aws.task_logs import TaskLog
from embedded_aws.task_runner import CannotStart, Runner, TaskRun

LONGEST_PAUSE = 0.5  # between two readings of the clock, which may be set meanwhile

Place = tuple[str, str]  # account and region


class Worlds:
    """One world for each account and region, and the tasks that run in them.

    `environment` returns the variables of a task's container: (region, task).
    """

    def __init__(
        self,
        runner: Runner,
        folder: Path,
        timings: Timings,
        machine_types: Mapping[str, MachineType],
        environment: Callable[[str, Task], Mapping[str, str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._runner = runner
        self._folder = folder
        self._timings = timings
        self._machine_types = machine_types
        self._environment = environment
        self._clock = clock
        self._changed = threading.Condition()
        self._worlds: dict[Place, World] = {}
        self._effects: deque[tuple[Place, Effect]] = deque()
        self._logs: dict[str, TaskLog] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="worlds", daemon=True)

    def start(self) -> None:
        """Let time pass from now on."""
        self._thread.start()

    def now(self) -> float:
        """Return the time of the worlds."""
        return self._clock()

    def look(self, account: str, region: str) -> World:
        """Return the world as it is now. It never changes: no lock is needed to read it."""
        with self._changed:
            self._advance((account, region), [])
            return self._worlds[account, region]

    def act(self, account: str, region: str, event: Event) -> Any:
        """Apply an event and return its answer. Raise Refused."""
        with self._changed:
            answer = self._advance((account, region), [event])[0]
            self._changed.notify_all()
        if isinstance(answer, Refused):
            raise answer
        return answer

    def find_task(self, task_id: str) -> tuple[Place, Task] | None:
        """Return the task of this id, in any world."""
        with self._changed:
            for place, world in self._worlds.items():
                for task in world.tasks.values():
                    if task.id == task_id:
                        return place, task
        return None

    def close(self, grace: float) -> None:
        """End all tasks: SIGTERM, and SIGKILL after `grace` seconds. Return when none is left."""
        with self._changed:
            self._closing = True
            for task_id in self._logs:
                self._runner.terminate(task_id)
            self._changed.wait_for(lambda: not self._logs, grace)
            for task_id in self._logs:
                self._runner.kill(task_id)
            self._changed.wait_for(lambda: not self._logs, grace)
        self._runner.close()

    def _advance(self, place: Place, events: list[Event]) -> list[Any]:
        world = self._worlds.get(place)
        if world is None:
            account, region = place
            world = World(
                self._machine_types,
                self._timings,
                account,
                region,
                seed=time.time_ns(),
                clusters={},
            )
        done = advance(world, events, self._clock())
        self._worlds[place] = done.world
        self._effects += [(place, effect) for effect in done.effects]
        return done.answers

    def _run(self) -> None:
        while True:
            with self._changed:
                for place in list(self._worlds):
                    self._advance(place, [])
                if not self._effects:
                    wake = min((w.wake for w in self._worlds.values()), default=float("inf"))
                    pause = min(LONGEST_PAUSE, max(0.0, wake - self._clock()))
                    self._changed.wait(pause)
                effects = list(self._effects)
                self._effects.clear()
                logs = list(self._logs.values())
            for place, effect in effects:
                self._make_real(place, effect)
            for log in logs:
                log.flush()

    def _make_real(self, place: Place, effect: Effect) -> None:
        task_id = effect.task.rsplit("/", 1)[-1]
        match effect:
            case StartTask():
                self._start_task(place, effect.task)
            case StopTask():
                self._runner.terminate(task_id)
            case KillTask():
                self._runner.kill(task_id)

    def _start_task(self, place: Place, arn: str) -> None:
        account, region = place
        with self._changed:
            task = self._worlds[place].tasks.get(arn)
            if task is None or self._closing:
                return
        container = task.definition.details["containerDefinitions"][0]
        folder = self._folder / "tasks" / task.id
        try:
            log = TaskLog(folder / "log.txt", account, region, container, task.id)
            with self._changed:
                self._logs[task.id] = log
            self._runner.start(
                TaskRun(
                    id=task.id,
                    container=container,
                    environment=self._environment(region, task),
                    folder=folder,
                    write=log.write,
                    exited=lambda code, reason: self._ended(
                        place, task, log, TaskExited(arn, code, reason)
                    ),
                    not_started=lambda reason: self._ended(
                        place, task, log, TaskNotStarted(arn, reason)
                    ),
                )
            )
        except CannotStart as error:
            with self._changed:
                self._logs.pop(task.id, None)
            self.act(account, region, TaskNotStarted(arn, str(error)))

    def _ended(self, place: Place, task: Task, log: TaskLog, event: Event) -> None:
        log.close()
        with self._changed:
            del self._logs[task.id]
            self._advance(place, [event])
            self._changed.notify_all()
