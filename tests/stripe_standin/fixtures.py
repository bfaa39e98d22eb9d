"""The stand-in for tests: this process's settings point at it, and nothing wrong may have been sent to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import settings
from tests import databases
from tests.stripe_standin import StandIn


@pytest.fixture
def standin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandIn]:
    """A stand-in for Stripe; over the test's database, where it has one."""
    if "database" in request.fixturenames:
        request.getfixturevalue("database")
    else:
        settings.use(databases.settings_of(f"sqlite:///{tmp_path / 'none.db'}", tmp_path))
    with StandIn().running() as server:
        settings.use(settings.current().model_copy(update={"stripe_api_base": server.url}))
        yield server
    assert server.complaints == []
