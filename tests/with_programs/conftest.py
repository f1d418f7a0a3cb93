"""Tests that need a browser or the examples' real programs; without them they fail."""

from __future__ import annotations

import pytest

from tests.examples.conftest import copy_of  # noqa: F401


@pytest.fixture(autouse=True)
def program(request):
    """Fail a test of an example whose program is missing."""
    trial = getattr(request.module, "TRIAL", None)
    if trial and (missing := trial.missing()):
        pytest.fail(f"{missing}. Run: make example-tools", pytrace=False)
