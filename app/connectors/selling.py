"""Asking for money and taking it in one call, for gateways that can."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from app.connectors.base import AuthorizeRequest, AuthorizeResult, ConnectorContext


@runtime_checkable
class Sells(Protocol):
    """Asks for money and takes it in one call."""

    def sell(self, context: ConnectorContext, request: AuthorizeRequest) -> AuthorizeResult:
        """As `authorize`, under the same key; what comes back `taken` needs no capture."""
