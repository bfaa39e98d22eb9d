"""Fixtures of the treasury's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.connectors import registry
from tests.treasuries import Gateway, from_noon


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Days are what these tests are about: they begin at noon, so that midnight comes when a test says so."""
    with from_noon():
        yield


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A sandbox whose statement the test writes, in the sandbox's place."""
    made = Gateway()
    monkeypatch.setattr(registry, "_ALL", (made,))
    return made
