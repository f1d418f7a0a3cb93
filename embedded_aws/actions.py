"""What our answers to EC2 and ECS requests have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, ClassVar, TypeVar

from moto.core.exceptions import ServiceException

from embedded_aws.engine import Engine
from embedded_aws.model import Refused, World
from embedded_aws.model.events import Event

Item = TypeVar("Item")


class WorldActions:
    """Mixed into a response class of moto; `engine` is set once, before the first request."""

    engine: ClassVar[Engine]
    # moto finds the form of an error by the module of its class.
    refusal: ClassVar[type[ServiceException]]
    current_account: str
    region: str

    def look(self) -> World:
        """The world of the request's account and region."""
        return self.engine.look(self.current_account, self.region)

    def act(self, event: Event) -> Any:
        """Let an event happen there; what is refused becomes the error that AWS answers."""
        try:
            return self.engine.act(self.current_account, self.region, event)
        except Refused as refused:
            raise self.error(refused) from None

    def error(self, refused: Refused) -> ServiceException:
        """A refusal of the model as moto's exception."""
        return self.refusal(refused.code, refused.message)

    def param(self, name: str, default: Any = None) -> Any:
        """A parameter of the request, as botocore's shapes have it."""
        value = self._get_param(name)  # type: ignore[attr-defined]
        return default if value is None else value

    def page(
        self, items: Sequence[Item], size_name: str, token_name: str, most: int
    ) -> tuple[list[Item], dict[str, str]]:
        """One page of the items, and the token of the next page as part of the answer."""
        size = min(int(self.param(size_name, most)), most)
        start = int(self.param(token_name, "0") or 0)
        more = {token_name: str(start + size)} if start + size < len(items) else {}
        return list(items[start : start + size]), more


def at(seconds: float) -> datetime:
    """A time as botocore's shapes have it."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def ec2_tags(*tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in EC2's form; later ones overwrite earlier ones."""
    merged = {key: value for some in tags for key, value in some.items()}
    return [{"Key": key, "Value": value} for key, value in merged.items()]
