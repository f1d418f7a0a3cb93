"""Common parts of the answers to EC2 and ECS requests."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, ClassVar, TypeVar

from moto.core.exceptions import ServiceException
from moto.ecs.exceptions import ECSException

from embedded_aws.model import Refused, World
from embedded_aws.model.clusters import check
from embedded_aws.model.events import Event
from embedded_aws.worlds import Worlds

Item = TypeVar("Item")


class WorldActions:
    """A mixin for response classes of moto; `worlds` is set once, before the first request."""

    worlds: ClassVar[Worlds]
    # moto chooses the form of an error by the module of its class.
    refusal: ClassVar[type[ServiceException]]
    current_account: str
    region: str

    def look(self) -> World:
        """Return the world of the request's account and region."""
        return self.worlds.look(self.current_account, self.region)

    def act(self, event: Event) -> Any:
        """Apply an event there and return its answer. Raise AWS's error if it is refused."""
        with self.refusals():
            return self.worlds.act(self.current_account, self.region, event)

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Raise what the model refuses within the block as the error that AWS answers."""
        try:
            yield
        except Refused as refused:
            raise self.refusal(refused.code, refused.message) from None

    def param(self, name: str, default: Any = None) -> Any:
        """Return a parameter of the request, in botocore's shape."""
        value = self._get_param(name)  # type: ignore[attr-defined]
        return default if value is None else value

    def page(
        self, items: Sequence[Item], size_name: str, token_name: str, most: int
    ) -> tuple[list[Item], dict[str, str]]:
        """Return one page of the items, and the next page's token as a part of the answer."""
        size = min(int(self.param(size_name, most)), most)
        start = int(self.param(token_name, "0") or 0)
        more = {token_name: str(start + size)} if start + size < len(items) else {}
        return list(items[start : start + size]), more


class ECSWorldActions(WorldActions):
    """The mixin of ECS."""

    refusal = ECSException
    ecs_backend: Any

    def cluster_name(self, world: World) -> str:
        """Return the name of the request's cluster. Raise AWS's error if there is none."""
        with self.refusals():
            return check(world, self.param("cluster", "default"))

    def arns(self, world: World, kind: str, parameter: str, most: int) -> list[str]:
        """Return the ARNs of what a parameter of the request names: 1 to `most`."""
        cluster = self.cluster_name(world)
        wanted = self.param(parameter, [])
        if not 0 < len(wanted) <= most:
            raise ECSException("InvalidParameterException", f"Name 1 to {most} {parameter}.")
        return [world.arn(kind, cluster, one.rsplit("/", 1)[-1]) for one in wanted]


def missing(arns: Iterable[str], known: Container[str]) -> list[dict[str, str]]:
    """Return ECS's failures for the ARNs that are not known."""
    return [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]


def at(seconds: float) -> datetime:
    """Return a time as botocore's shapes have it, from seconds since the epoch."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def ec2_tags(*tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags in EC2's form; later ones overwrite earlier ones."""
    merged = {key: value for some in tags for key, value in some.items()}
    return [{"Key": key, "Value": value} for key, value in merged.items()]


def ecs_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags in ECS's form."""
    return [{"key": key, "value": value} for key, value in tags.items()]
