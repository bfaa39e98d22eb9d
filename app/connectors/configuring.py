"""How a connector is configured and tried: what its credentials are, and whose they may be.

Beside the capabilities of connectors/base.py; a connector implements what its gateway has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from app.connectors.base import ConnectorContext


@dataclass(frozen=True, slots=True)
class CredentialField:
    """A field of a connector's configuration: checked when it is saved, drawn as a form by the dashboard.

    A `secret` one is never shown again. `pattern` is a regular expression that the whole value must match.
    One that `signs_webhooks` is a secret under which the gateway signs what it sends us.
    """

    name: str
    label: str
    secret: bool = False
    required: bool = False
    hint: str = ""
    choices: tuple[str, ...] = ()
    pattern: str = ""
    signs_webhooks: bool = False


@runtime_checkable
class Configurable(Protocol):
    """Is configured per merchant: `ConnectorContext.credentials` has these fields, by name."""

    credentials: tuple[CredentialField, ...]


@runtime_checkable
class Deployable(Protocol):
    """Can also be configured once for the whole deployment, and is used here only where it is."""

    def is_deployed(self, mode: str | None = None) -> bool:
        """Whether the deployment has credentials for it, in that mode (None: in any)."""
        ...


@runtime_checkable
class SharesVault(Protocol):
    """Whether a token can be charged through each account of this type, or only where it was made.

    A connector that does not say so has a vault for each account.
    """

    shares_vault: bool


@dataclass(frozen=True, slots=True)
class Ping:
    """What a test of credentials and connectivity found; `refused` where the credentials are not good."""

    ok: bool
    message: str
    refused: bool = False


@runtime_checkable
class Tests(Protocol):
    """Can be tried without moving money."""

    def ping(self, context: ConnectorContext) -> Ping:
        """Reach the gateway with these credentials."""
        ...
