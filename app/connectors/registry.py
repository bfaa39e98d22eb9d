"""The connectors that this deployment has: adding one is a folder and a line here."""

from __future__ import annotations

from typing import cast

from app import settings
from app.connectors.base import Connector
from app.connectors.configuring import Deployable
from app.connectors.sandbox.connector import SandboxConnector
from app.connectors.stripe.connector import StripeConnector

_ALL: tuple[Connector, ...] = (SandboxConnector(), StripeConnector())


def installed() -> tuple[Connector, ...]:
    """Every connector that may be used here; the sandbox does not exist in production."""
    if settings.current().production:
        return tuple(c for c in _ALL if c.name != "sandbox")
    return _ALL


def all_connectors() -> tuple[Connector, ...]:
    """Those that work for every merchant: what wants credentials, only where the deployment has some."""
    return tuple(c for c in installed() if not has(c, Deployable) or cast(Deployable, c).is_deployed())


_CAPABLE: dict[tuple[type, type], bool] = {}


def has(connector: Connector | None, capability: type) -> bool:
    """Whether a connector has a capability; a protocol looks at every method, so it is asked once a class."""
    key = (type(connector), capability)
    if key not in _CAPABLE:
        _CAPABLE[key] = isinstance(connector, capability)
    return _CAPABLE[key]


def get(name: str) -> Connector | None:
    """The connector of that name, if it may be used here."""
    return next((c for c in installed() if c.name == name), None)


def for_method(method_type: str) -> list[Connector]:
    """Connectors that take a method, in the order in which they are tried."""
    return [c for c in all_connectors() if method_type in c.method_types]
