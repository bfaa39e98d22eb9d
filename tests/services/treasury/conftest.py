"""Fixtures of the treasury's tests."""

from __future__ import annotations

import pytest

from app.connectors import registry
from tests.treasuries import Gateway


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A sandbox whose statement the test writes, in the sandbox's place."""
    made = Gateway()
    monkeypatch.setattr(registry, "_ALL", (made,))
    return made
