"""What our answers to ECS requests have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.ecs.exceptions import ECSException

from embedded_aws.actions import WorldActions
from embedded_aws.model import Refused, World
from embedded_aws.model.clusters import check


class ECSWorldActions(WorldActions):
    """Mixed into moto's ECS by way of its subclasses."""

    refusal = ECSException
    ecs_backend: Any

    def cluster_name(self, world: World) -> str:
        """The name of the request's cluster, which must exist."""
        try:
            return check(world, self.param("cluster", "default"))
        except Refused as refused:
            raise self.error(refused) from None


def ecs_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in ECS's form."""
    return [{"key": key, "value": value} for key, value in tags.items()]
