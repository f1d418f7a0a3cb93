"""moto's ECS with the model's clusters, services, tasks and container instances in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import moto.ecs.urls as urls
from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse

from embedded_aws.ecs_actions import ecs_tags
from embedded_aws.ecs_clusters import ClusterActions
from embedded_aws.ecs_instances import ContainerInstanceActions
from embedded_aws.ecs_services import ServiceActions
from embedded_aws.ecs_tasks import TaskActions
from embedded_aws.engine import Engine


class ECSActions(
    ClusterActions,
    ServiceActions,
    TaskActions,
    ContainerInstanceActions,
    EC2ContainerServiceResponse,
):
    """What is not in the classes before it is moto's own."""

    # The model's attributes have AWS's form already, which moto's would be changed to.
    RESPONSE_KEY_PATH_TO_TRANSFORMER: dict[str, Callable[[Any], Any]] = {}

    def list_tags_for_resource(self) -> ActionResult:
        """ListTagsForResource: services and tasks are the model's."""
        arn = self.param("resourceArn")
        world = self.look()
        found = world.services.get(arn) or world.tasks.get(arn)
        if found is None:
            result: ActionResult = super().list_tags_for_resource()
            return result
        return ActionResult({"tags": ecs_tags(found.tags)})


def install(engine: Engine) -> None:
    """Make moto's server use it. Call it before the first request."""
    ECSActions.engine = engine
    urls.url_paths = {"{0}/$": ECSActions.dispatch}
