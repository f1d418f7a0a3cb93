"""The model's fleets, instances, services and tasks. Frozen: a change makes a new one.

Times are seconds since the epoch, memory is in MiB, cpu in ECS's units (1,024 a vCPU).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

NEVER = math.inf


class Refused(Exception):
    """AWS refuses a request: `code` is AWS's own error code, `message` its sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def first(things: Mapping[str, T], when: Callable[[T], float]) -> float:
    """Return the earliest of a time that each of the things has. It runs often: keep it fast."""
    return min(map(when, things.values()), default=NEVER)


@dataclass(frozen=True)
class MachineType:
    """An EC2 instance type: advertised memory in MiB, spot price in USD an hour."""

    vcpus: int
    memory: int
    gpus: int = 0
    architecture: str = "x86_64"
    spot_price: float = 0.05


@dataclass(frozen=True)
class AgentConfig:
    """The ECS agent's settings in a launch template's user data (ECS guide, ecs-agent-config)."""

    cluster: str = "default"
    attributes: Mapping[str, str] = field(default_factory=dict)
    reserved_memory: int = 0
    spot_draining: bool = False


@dataclass(frozen=True)
class LaunchSpec:
    """One pool that a fleet may launch from: a launch template with one override applied."""

    instance_type: str
    availability_zone: str
    subnet_id: str = ""
    image_id: str = ""
    weight: float = 1.0
    max_price: float | None = None
    agent: AgentConfig | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)  # for DescribeInstances
    fault: str = ""  # why EC2 cannot launch from it, e.g. an image that does not exist


@dataclass(frozen=True)
class HistoryRecord:
    """One entry of a fleet's history (botocore: ec2.HistoryRecord)."""

    at: float
    event_type: str
    sub_type: str
    description: str = ""
    instance_id: str = ""


@dataclass(frozen=True)
class FleetSettings:
    """The settings of a spot fleet request (botocore: ec2.SpotFleetRequestConfigData)."""

    specs: tuple[LaunchSpec, ...]
    target: int
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    client_token: str = ""
    maintain: bool = True
    strategy: str = "lowestPrice"
    max_price: float | None = None
    max_total_price: float | None = None
    valid_until: float = NEVER
    terminate_at_expiry: bool = False
    keep_excess: bool = False


@dataclass(frozen=True, kw_only=True)
class Fleet(FleetSettings):
    """A spot fleet request."""

    id: str
    created: float
    state: str = "submitted"
    due: float = NEVER  # when its state changes by itself
    next_launch: float = NEVER  # when it launches, or tries to
    placed: bool = False  # a fleet of type `request` launches only once
    ended: float = NEVER
    last_problem: str = ""
    history: tuple[HistoryRecord, ...] = ()


@dataclass(frozen=True)
class Instance:
    """An EC2 spot instance that a fleet launched."""

    id: str
    fleet_id: str
    spot_request_id: str
    spec: LaunchSpec
    launched: float
    number: int
    state: str = "pending"
    due: float = NEVER  # when its state changes by itself
    ended: float = NEVER
    notice_at: float = NEVER  # when EC2 announced the interruption
    interrupt_at: float = NEVER
    register_at: float = NEVER
    container_instance: str = ""
    down_at: float = NEVER  # when a shutdown is done at the earliest ...
    down_by: float = NEVER  # ... and at the latest
    reason_code: str = ""
    reason: str = ""


@dataclass(frozen=True)
class ContainerInstance:
    """An instance as ECS sees it, with its registered and its free resources."""

    arn: str
    cluster: str
    instance_id: str
    registered: float
    cpu: int
    memory: int
    gpus: int
    attributes: Mapping[str, str]
    free_cpu: int = 0
    free_memory: int = 0
    free_gpus: int = 0
    status: str = "ACTIVE"
    connected: bool = True
    tasks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TaskDefinition:
    """The parts of a task definition that placement and stopping need; `details` has the rest."""

    arn: str
    family: str
    cpu: int
    memory: int
    gpus: int = 0
    stop_timeout: float = 30.0  # botocore: ecs.ContainerDefinition.stopTimeout, 30 s by default
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """One deployment of a service (botocore: ecs.Deployment)."""

    id: str
    definition: TaskDefinition
    created: float
    failed: int = 0
    updated: float = 0.0
    completed: bool = False


@dataclass(frozen=True)
class ServiceEvent:
    """One event of a service (botocore: ecs.ServiceEvent)."""

    id: str
    at: float
    message: str


@dataclass(frozen=True)
class ServiceSettings:
    """The settings of a service (botocore: ecs.CreateService)."""

    cluster: str
    name: str
    desired: int
    minimum_percent: int = 100
    maximum_percent: int = 200
    constraints: tuple[str, ...] = ()
    distinct: bool = False
    strategy: tuple[tuple[str, str], ...] = ()
    propagate_tags: str = "NONE"
    tags: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Service(ServiceSettings):
    """An ECS service; the first deployment is the primary one, the others are being replaced."""

    arn: str
    deployments: tuple[Deployment, ...]
    created: float
    status: str = "ACTIVE"
    failed_in_a_row: int = 0
    not_before: float = 0.0
    events: tuple[ServiceEvent, ...] = ()
    last_problem: str = ""
    steady: bool = False


@dataclass(frozen=True)
class Task:
    """An ECS task (ECS guide, task-lifecycle)."""

    arn: str
    cluster: str
    service: str
    deployment: str
    definition: TaskDefinition
    container_instance: str
    created: float
    status: str = "PENDING"
    desired: str = "RUNNING"
    tags: Mapping[str, str] = field(default_factory=dict)
    protected_until: float = 0.0
    start_at: float = NEVER
    kill_at: float = NEVER
    started: float = NEVER
    stopping: float = NEVER
    stopped: float = NEVER
    stop_code: str = ""
    reason: str = ""
    exit_code: int | None = None
    container_reason: str = ""

    @property
    def id(self) -> str:
        """Return the last part of the ARN."""
        return self.arn.rsplit("/", 1)[-1]
