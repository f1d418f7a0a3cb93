"""What every test has: no way to the real AWS."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_real_aws(monkeypatch, tmp_path_factory):
    """Cut off the developer's own AWS settings; keys that open nothing take their place."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "EMBEDDED_AWS")):
            monkeypatch.delenv(name)
    nothing = str(tmp_path_factory.getbasetemp() / "no-such-file")
    monkeypatch.setenv("AWS_CONFIG_FILE", nothing)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", nothing)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
