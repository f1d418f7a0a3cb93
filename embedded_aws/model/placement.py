"""The placement of tasks: constraints, then the strategy (ECS guide, task-placement)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import inf

from embedded_aws.model.things import ContainerInstance, Refused, Service, Task, TaskDefinition

Test = Callable[[ContainerInstance], bool]
# The supported forms of the cluster query language (ECS guide, cluster-query-language).
_COMPARISON = re.compile(
    r"^attribute:(?P<name>[\w.\-/\\]+)\s*"
    r"(?:(?P<exists>exists|!exists)|(?P<operator>==|equals|!=|not_equals)\s*(?P<value>[^\s\[\]()]+))$"
)


def parse(expression: str) -> Test:
    """Return a memberOf expression as a test.

    Supported are `attribute:NAME == VALUE`, != and exists, joined by `and`. Raise Refused for any
    other, as ECS does for a wrong one.
    """
    tests = [_parse_one(part.strip()) for part in re.split(r"\s+and\s+|&&", expression)]
    if len(tests) == 1:
        return tests[0]
    return lambda instance: all(test(instance) for test in tests)


def _parse_one(text: str) -> Test:
    found = _COMPARISON.match(text)
    if found is None:
        raise Refused(
            "InvalidParameterException", f"Invalid placement constraint expression: {text}"
        )
    name, value = found["name"], found["value"]
    if found["exists"]:
        return lambda instance: (name in instance.attributes) == (found["exists"] == "exists")
    if found["operator"] in ("==", "equals"):
        return lambda instance: instance.attributes.get(name) == value
    return lambda instance: instance.attributes.get(name) != value


def fits(instance: ContainerInstance, definition: TaskDefinition) -> bool:
    """Return whether the task's CPU, memory and GPUs are free there."""
    return (
        instance.free_memory >= definition.memory
        and instance.free_cpu >= definition.cpu
        and instance.free_gpus >= definition.gpus
    )


class Placement:
    """The choice of instances for one service's tasks at one moment."""

    def __init__(
        self, service: Service, instances: Iterable[ContainerInstance], tasks: Iterable[Task]
    ) -> None:
        self.service = service
        self.in_cluster = [i for i in instances if i.cluster == service.cluster]
        self.ready = [i for i in self.in_cluster if i.status == "ACTIVE" and i.connected]
        self.by_arn = {i.arn: i for i in self.ready}
        self.tests = [parse(expression) for expression in service.constraints]
        self.here: dict[str, int] = {}
        for task in tasks:
            self.took(task.container_instance)

    def took(self, arn: str) -> None:
        """Count one more task of the service on an instance."""
        self.here[arn] = self.here.get(arn, 0) + 1

    def update(self, instance: ContainerInstance) -> None:
        """Note that an instance has less free now."""
        self.by_arn[instance.arn] = instance

    def choose(self, definition: TaskDefinition) -> ContainerInstance | None:
        """Return the instance for one more task, or None."""
        best: tuple[tuple[float, ...], ContainerInstance] | None = None
        for instance in self.by_arn.values():
            if not fits(instance, definition) or not self._allows(instance):
                continue
            if self.service.distinct and self.here.get(instance.arn):
                continue
            rank = self._rank(instance)
            if best is None or rank < best[0]:
                best = rank, instance
        return None if best is None else best[1]

    def _allows(self, instance: ContainerInstance) -> bool:
        return instance.arn in self.by_arn and all(test(instance) for test in self.tests)

    def _rank(self, instance: ContainerInstance) -> tuple[float, ...]:
        """Return a rank, lower is better; the default is spread (task-placement-strategies)."""
        ranks: list[float] = []
        for kind, by in self.service.strategy or (("spread", "instanceId"),):
            if kind == "binpack":
                ranks.append(instance.free_memory if by.lower() == "memory" else instance.free_cpu)
            elif kind == "spread":
                ranks.append(self._spread(instance, by))
        return tuple(ranks)

    def _spread(self, instance: ContainerInstance, by: str) -> float:
        if by.lower() in ("instanceid", "host"):
            return self.here.get(instance.arn, 0)
        name = by.removeprefix("attribute:")
        value = instance.attributes.get(name)
        return sum(
            self.here.get(other.arn, 0)
            for other in self.ready
            if other.attributes.get(name) == value
        )

    def why_not(self, definition: TaskDefinition) -> tuple[str, str]:
        """Return why a task found no place: the event's message and, shorter, the problem.

        The words are ECS's (ECS guide, service-event-messages-list).
        """
        text = (
            "was unable to place a task because no container instance met all of its requirements. "
        )
        if not self.in_cluster:
            problem = "No Container Instances were found in your cluster."
            return f"{text}Reason: {problem}", problem
        # One that fails a constraint is closest only if all do.
        allowed = [self.by_arn[i.arn] for i in self.in_cluster if self._allows(i)]
        closest = max(
            allowed or self.in_cluster,
            key=lambda i: (i.status == "ACTIVE", i.free_memory, i.free_cpu),
        )
        problem = self._lacks(closest, definition)
        return text + (
            f"The closest matching (container-instance {closest.arn.rsplit('/', 1)[-1]}) "
            f"{problem}. For more information, see the Troubleshooting section of the Amazon ECS "
            "Developer Guide."
        ), problem

    def _lacks(self, instance: ContainerInstance, definition: TaskDefinition) -> str:
        if not instance.connected:
            return "has a disconnected agent"
        if not self._allows(instance):
            active = instance.status == "ACTIVE"
            missing = "is missing an attribute required by your task"
            return missing if active else "is being drained"
        if instance.free_memory < definition.memory:
            return "has insufficient memory available"
        if instance.free_cpu < definition.cpu:
            return "has insufficient CPU units available"
        if instance.free_gpus < definition.gpus:
            return "has insufficient GPU resource available"
        return "already has a task of this service"


def first_to_stop(
    tasks: Iterable[Task], instances: dict[str, ContainerInstance], service: Service
) -> list[Task]:
    """Return the tasks in the order in which a scale-in stops them.

    Those that do not run yet come first (guess); then, where a strategy packs, the one whose
    instance has most left then (ECS guide, task-placement-strategies, binpack); else the
    youngest (guess).
    """
    packs = any(kind == "binpack" for kind, _ in service.strategy)

    def order(task: Task) -> tuple[bool, float, float]:
        instance = instances.get(task.container_instance)
        left = inf if instance is None else instance.free_memory + task.definition.memory
        return task.status == "RUNNING", -left if packs else 0, -task.created

    return sorted(tasks, key=order)
