"""Fixtures for events: merchants without a shop, and a receiver in another process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.domain.actor import Actor, system_actor
from app.models.access.tenant import Tenant
from app.services.access import tenants
from tests import receiver as receivers


@pytest.fixture
def tenant(database: str) -> Tenant:
    """A merchant."""
    return tenants.create("Events", "events", "GBP")


@pytest.fixture
def actor(tenant: Tenant) -> Actor:
    """Somebody of that merchant, in test mode."""
    return system_actor(tenant.profile("test"), "test")


@pytest.fixture
def stranger(tenant: Tenant) -> Actor:
    """Somebody of another merchant."""
    return system_actor(tenants.create("Other", "other", "GBP").profile("test"), "test")


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[receivers.Receiver]:
    """A merchant's receiver."""
    with receivers.running(tmp_path_factory.mktemp("receiver")) as running:
        yield running
