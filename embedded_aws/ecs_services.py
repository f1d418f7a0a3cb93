"""ECS's services and what they need of task definitions, from the model (botocore: ecs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import ECSException

from embedded_aws.actions import ECSWorldActions, at, ecs_tags, missing
from embedded_aws.model import World
from embedded_aws.model.events import CreateService, DeleteService, UpdateService
from embedded_aws.model.scheduling import live_tasks
from embedded_aws.model.things import Deployment, Service, Task, TaskDefinition

MOST_DESCRIBED = 10  # botocore: ecs.DescribeServices
MOST_LISTED = 100  # botocore: ecs.ListServices; without a number a page has 10
# Returned as they were given.
ECHOED = ("launchType", "deploymentController", "availabilityZoneRebalancing", "role")


class ServiceActions(ECSWorldActions):
    """A mixin for moto's ECS."""

    def create_service(self) -> ActionResult:
        """Answer CreateService."""
        if not self.param("taskDefinition"):
            raise ECSException("InvalidParameterException", "TaskDefinition cannot be blank.")
        configuration = self.param("deploymentConfiguration", {})
        constraints, distinct = _constraints(self.param("placementConstraints", []))
        tags = {tag["key"]: tag.get("value", "") for tag in self.param("tags", [])}
        arn = self.act(
            CreateService(
                cluster=self.param("cluster", "default"),
                name=self.param("serviceName"),
                definition=definition(self.ecs_backend, self.param("taskDefinition")),
                desired=int(self.param("desiredCount", 0)),
                minimum_percent=configuration.get("minimumHealthyPercent", 100),
                maximum_percent=configuration.get("maximumPercent", 200),
                constraints=constraints,
                distinct=distinct,
                strategy=_strategy(self.param("placementStrategy", [])),
                propagate_tags=self.param("propagateTags", "NONE"),
                tags=tags,
                details=self._details(),
            )
        )
        return self._answer(arn)

    def update_service(self) -> ActionResult:
        """Answer UpdateService."""
        configuration = self.param("deploymentConfiguration", {})
        given = self.param("placementConstraints")
        constraints, distinct = (None, None) if given is None else _constraints(given)
        strategy = self.param("placementStrategy")
        wanted = self.param("taskDefinition")
        arn = self.act(
            UpdateService(
                cluster=self.param("cluster", "default"),
                name=self.param("service"),
                desired=self.param("desiredCount"),
                definition=definition(self.ecs_backend, wanted) if wanted else None,
                force_new_deployment=bool(self.param("forceNewDeployment", False)),
                minimum_percent=configuration.get("minimumHealthyPercent"),
                maximum_percent=configuration.get("maximumPercent"),
                constraints=constraints,
                distinct=distinct,
                strategy=None if strategy is None else _strategy(strategy),
                propagate_tags=self.param("propagateTags"),
                details=self._details(),
            )
        )
        return self._answer(arn)

    def delete_service(self) -> ActionResult:
        """Answer DeleteService."""
        force = bool(self.param("force", False))
        cluster = self.param("cluster", "default")
        return self._answer(self.act(DeleteService(cluster, self.param("service"), force)))

    def describe_services(self) -> ActionResult:
        """Answer DescribeServices: INACTIVE ones too, for a while (botocore: ecs.DeleteService)."""
        world = self.look()
        arns = self.arns(world, "service", "services", MOST_DESCRIBED)
        live = live_tasks(world)
        with_tags = "TAGS" in self.param("include", [])
        found = [world.services[arn] for arn in arns if arn in world.services]
        services = [_describe(world, s, live.get(s.arn, []), with_tags) for s in found]
        failures = missing(arns, world.services)
        return ActionResult({"services": services, "failures": failures})

    def list_services(self) -> ActionResult:
        """Answer ListServices: the active ones, ten a page unless the request wants more."""
        world = self.look()
        cluster = self.cluster_name(world)
        arns = [
            s.arn for s in world.services.values() if s.cluster == cluster and s.status == "ACTIVE"
        ]
        most = MOST_LISTED if self.param("maxResults") else 10
        page, more = self.page(arns, "maxResults", "nextToken", most)
        return ActionResult({"serviceArns": page, **more})

    def _details(self) -> dict[str, Any]:
        return {name: self.param(name) for name in ECHOED if self.param(name) is not None}

    def _answer(self, arn: str) -> ActionResult:
        world = self.look()
        service = world.services[arn]
        live = live_tasks(world).get(arn, [])
        return ActionResult({"service": _describe(world, service, live, with_tags=True)})


def _constraints(given: list[Mapping[str, str]]) -> tuple[tuple[str, ...], bool]:
    expressions = tuple(c["expression"] for c in given if c["type"] == "memberOf")
    return expressions, any(c["type"] == "distinctInstance" for c in given)


def _strategy(given: list[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((one["type"], one.get("field", "")) for one in given)


def _describe(world: World, service: Service, live: list[Task], with_tags: bool) -> dict[str, Any]:
    memberships = [{"type": "memberOf", "expression": e} for e in service.constraints]
    distinct = [{"type": "distinctInstance"}] if service.distinct else []
    echoed = {name: value for name, value in service.details.items() if name != "role"}
    return {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": world.arn("cluster", service.cluster),
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": sum(t.status == "RUNNING" for t in live),
        "pendingCount": sum(t.status == "PENDING" for t in live),
        "launchType": "EC2",
        "taskDefinition": service.deployments[0].definition.arn,
        "deploymentConfiguration": {
            "minimumHealthyPercent": service.minimum_percent,
            "maximumPercent": service.maximum_percent,
        },
        "deployments": [
            _deployment(d, service, live, primary=number == 0)
            for number, d in enumerate(service.deployments)
        ],
        "events": [
            {"id": e.id, "createdAt": at(e.at), "message": e.message} for e in service.events
        ],
        "createdAt": at(service.created),
        "placementConstraints": memberships + distinct,
        "placementStrategy": [
            {"type": kind, **({"field": field} if field else {})}
            for kind, field in service.strategy
        ],
        "schedulingStrategy": "REPLICA",
        "loadBalancers": [],
        "serviceRegistries": [],
        "propagateTags": service.propagate_tags,
        **echoed,
        **({"tags": ecs_tags(service.tags)} if with_tags else {}),
    }


def _deployment(
    deployment: Deployment, service: Service, live: list[Task], primary: bool
) -> dict[str, Any]:
    mine = [t for t in live if t.deployment == deployment.id]
    done = deployment.completed and primary
    return {
        "id": deployment.id,
        "status": "PRIMARY" if primary else "ACTIVE",
        "taskDefinition": deployment.definition.arn,
        "desiredCount": service.desired if primary else 0,
        "runningCount": sum(t.status == "RUNNING" for t in mine),
        "pendingCount": sum(t.status == "PENDING" for t in mine),
        "failedTasks": deployment.failed,
        "createdAt": at(deployment.created),
        "updatedAt": at(deployment.updated),
        "launchType": "EC2",
        "rolloutState": "COMPLETED" if done else "IN_PROGRESS",
    }


def definition(backend: Any, wanted: str) -> TaskDefinition:
    """Return a task definition by ARN, FAMILY:REVISION or FAMILY (its newest active revision).

    Raise what ECS answers if there is none or it is not active.
    """
    name = wanted.rsplit("/", 1)[-1]
    if ":" not in name:
        active = [
            revision
            for revision, found in backend.task_definitions.get(name, {}).items()
            if found.status == "ACTIVE"
        ]
        name = f"{name}:{max(active, default=0)}"
    found = backend.describe_task_definition(name)
    if found.status != "ACTIVE":
        raise ECSException("ClientException", "TaskDefinition is inactive")
    containers = found.container_definitions
    return TaskDefinition(
        arn=found.arn,
        family=found.family,
        cpu=int(found.cpu or sum(int(c.get("cpu") or 0) for c in containers)),
        memory=int(found.memory or sum(_memory(c) for c in containers)),
        gpus=sum(_gpus(c) for c in containers),
        stop_timeout=float(max(c.get("stopTimeout") or 30 for c in containers)),
        details={
            "containerDefinitions": containers,
            "tags": found.tags,
            "taskRoleArn": getattr(found, "task_role_arn", None),
        },
    )


def _memory(container: Any) -> int:
    """Return the reservation, else the limit (botocore: ecs.ContainerDefinition)."""
    return int(container.get("memoryReservation") or container.get("memory") or 0)


def _gpus(container: Any) -> int:
    needs = container.get("resourceRequirements") or []
    return sum(int(need["value"]) for need in needs if need["type"] == "GPU")
