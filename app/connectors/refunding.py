"""Refunds that a gateway made without us (in its dashboard): a small protocol beside base.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from app.connectors.base import Approved, ConnectorContext, Declined, Pending, Unknown


@dataclass(frozen=True, slots=True)
class ForeignRefund:
    """A refund with the gateway's own id `reference`, and what became of it."""

    reference: str
    amount: int
    currency: str
    outcome: Approved | Declined | Pending


@runtime_checkable
class TellsOfRefunds(Protocol):
    """Can say which refunds of a payment we did not ask for."""

    def foreign_refunds(
        self, context: ConnectorContext, payment: str, currency: str
    ) -> tuple[ForeignRefund, ...] | Unknown:
        """Those of a captured payment, oldest first; `payment` is the gateway's id of it."""
        ...
