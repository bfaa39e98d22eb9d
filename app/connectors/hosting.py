"""What a gateway takes on pages of its own: a small protocol beside base.py."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from app.connectors.base import ConnectorContext


@runtime_checkable
class HostsPages(Protocol):
    """Takes methods on a page of the gateway's own, as far as the caller's account is set up for it."""

    def hosted_types(self, context: ConnectorContext) -> frozenset[str]:
        """The method types that can be paid there now; a token of such a type leads there."""
        ...
