"""What the tests of verbs stand on."""

from __future__ import annotations

import pytest

import run as command_line
from control.services import account


@pytest.fixture
def typed(embedded, monkeypatch, capsys):
    """Types a verb for a config; returns what it said."""
    monkeypatch.setattr(account, "connect", lambda config: embedded)

    def type_(config, *words):
        capsys.readouterr()
        command_line.main(["--config", str(config.path.parent), *words])
        return capsys.readouterr().out

    return type_
