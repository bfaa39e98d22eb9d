"""Connectors for tests: sandbox accounts of a shop, a second kind of gateway, and what its calls became."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors import registry
from app.connectors.configuring import CredentialField
from app.connectors.sandbox.connector import SandboxConnector
from app.domain.actor import Actor
from app.kit.breaker import Breaker
from app.models.payments.connector import ConnectorAccount, ConnectorLog, RoutingRule
from app.services.payments import connector_logs, connectors, gateway, routing, routing_rules
from app.services.payments.connectors import ConnectorDraft
from app.services.payments.routing_rules import RuleDraft


class Elsewhere(SandboxConnector):
    """A gateway whose accounts each have a vault of their own, and that wants a key."""

    name = "elsewhere"
    label = "Elsewhere"
    shares_vault = False
    credentials = (CredentialField("api_key", "API key", secret=True, required=True),)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry with a second connector."""
    monkeypatch.setattr(registry, "_ALL", (*registry._ALL, Elsewhere()))


def takes_in_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """No gateway can authorise and capture in one call."""
    monkeypatch.setattr(gateway, "Sells", type("NobodySells", (), {}))


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    """A circuit breaker that knows nothing yet."""
    fresh = Breaker()
    monkeypatch.setattr(routing, "BREAKER", fresh)
    return fresh


def account(actor: Actor, priority: int = 100, *, type_: str = "sandbox", **config: str) -> ConnectorAccount:
    """A connector of a merchant, named after its priority."""
    draft = ConnectorDraft(f"{type_}-{priority}", type_, config, priority)
    return connectors.create(actor, draft)


def rule(actor: Actor, connector: ConnectorAccount, priority: int = 100, **match: Any) -> RoutingRule:
    """A routing rule to it."""
    return routing_rules.create(actor, RuleDraft(match, connector.id, priority))


def logged(actor: Actor, connector_id: str) -> list[ConnectorLog]:
    """The calls of a connector, oldest first."""
    connector_logs.flush()
    return connector_logs.list_page(actor, connector_id, limit=100).data[::-1]
