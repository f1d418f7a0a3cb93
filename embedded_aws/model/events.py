"""Events from outside the world: a user's requests, and the results of effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded_aws.model.things import FleetSettings, ServiceSettings, TaskDefinition


@dataclass(frozen=True)
class RequestFleet(FleetSettings):
    """RequestSpotFleet; the answer is the fleet's id."""


@dataclass(frozen=True)
class ModifyFleet:
    """ModifySpotFleetRequest; what is None stays as it is."""

    fleet: str
    target: int | None = None
    keep_excess: bool | None = None


@dataclass(frozen=True)
class CancelFleet:
    """CancelSpotFleetRequests for one fleet; the answer is (state before, state now)."""

    fleet: str
    terminate: bool


@dataclass(frozen=True)
class TerminateInstances:
    """TerminateInstances; the answer is a list of (id, state before)."""

    instances: tuple[str, ...]


@dataclass(frozen=True)
class InterruptInstance:
    """EC2 takes a spot instance back: notice now, end after `Timings.notice`."""

    instance: str


@dataclass(frozen=True)
class SetCapacity:
    """Spot capacity changes; see World.capacity."""

    capacity: Mapping[str, int]
    vcpu_quota: int | None = None


@dataclass(frozen=True)
class CreateCluster:
    """CreateCluster."""

    name: str


@dataclass(frozen=True)
class DeleteCluster:
    """DeleteCluster."""

    name: str


@dataclass(frozen=True)
class SetContainerInstanceState:
    """UpdateContainerInstancesState for one instance: ACTIVE or DRAINING."""

    cluster: str
    container_instance: str
    status: str


@dataclass(frozen=True)
class DeregisterContainerInstance:
    """DeregisterContainerInstance; refused with tasks on it unless forced."""

    cluster: str
    container_instance: str
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class CreateService(ServiceSettings):
    """CreateService; the answer is the service's ARN."""

    definition: TaskDefinition


@dataclass(frozen=True)
class UpdateService:
    """UpdateService; what is None stays as it is."""

    cluster: str
    name: str
    desired: int | None = None
    definition: TaskDefinition | None = None
    force_new_deployment: bool = False
    minimum_percent: int | None = None
    maximum_percent: int | None = None
    constraints: tuple[str, ...] | None = None
    distinct: bool | None = None
    strategy: tuple[tuple[str, str], ...] | None = None
    propagate_tags: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeleteService:
    """DeleteService."""

    cluster: str
    name: str
    force: bool = False


@dataclass(frozen=True)
class StopTaskRequest:
    """StopTask of the API; `task` is an id or ARN."""

    cluster: str
    task: str
    reason: str = "Task stopped by user"


@dataclass(frozen=True)
class ProtectTask:
    """UpdateTaskProtection for one task; the answer is when the protection ends (0: none)."""

    cluster: str
    task: str
    enabled: bool
    minutes: int | None = None


@dataclass(frozen=True)
class TaskExited:
    """The program of a task ended with this exit code; `reason` is the container's, if any."""

    task: str
    exit_code: int
    reason: str = ""


@dataclass(frozen=True)
class TaskNotStarted:
    """The effect StartTask could not be made real."""

    task: str
    reason: str


Event = (
    RequestFleet
    | ModifyFleet
    | CancelFleet
    | TerminateInstances
    | InterruptInstance
    | SetCapacity
    | CreateCluster
    | DeleteCluster
    | SetContainerInstanceState
    | DeregisterContainerInstance
    | CreateService
    | UpdateService
    | DeleteService
    | StopTaskRequest
    | ProtectTask
    | TaskExited
    | TaskNotStarted
)
