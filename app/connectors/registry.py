"""The connectors that this deployment has: adding one is a folder and a line here."""

from __future__ import annotations

from app import settings
from app.connectors.base import Connector
from app.connectors.sandbox.connector import SandboxConnector

_ALL: tuple[Connector, ...] = (SandboxConnector(),)


def all_connectors() -> tuple[Connector, ...]:
    """Every connector that may be used here; the sandbox does not exist in production."""
    if settings.current().production:
        return tuple(c for c in _ALL if c.name != "sandbox")
    return _ALL


def get(name: str) -> Connector | None:
    """The connector of that name, if it may be used here."""
    return next((c for c in all_connectors() if c.name == name), None)


def for_method(method_type: str) -> list[Connector]:
    """Connectors that take a method, in the order in which they are tried."""
    return [c for c in all_connectors() if method_type in c.method_types]
