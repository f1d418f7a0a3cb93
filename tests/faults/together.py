"""Scenarios that wait more than they work run side by side."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def together(seconds: float, **settings: Any) -> Callable[[Callable[..., None]], Callable]:
    """Make a test of a scenario(site, ...): run in a thread along with others, the long ones first.

    `settings` are those of the site's containers; `seconds` is about how long it takes.
    """

    def make(scenario: Callable[..., None]) -> Callable:
        def test(started, request, **parameters):
            started(request.node)

        _, *parameters = inspect.signature(scenario).parameters.values()
        own = list(inspect.signature(test).parameters.values())[:2]
        test.__signature__ = inspect.Signature([*own, *parameters])
        test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
        test.scenario = scenario, settings
        test.seconds = seconds
        return test

    return make
