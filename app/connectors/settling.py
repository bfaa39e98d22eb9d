"""What a gateway says of the money itself: its settlement statements, and payouts to the merchant's bank.

Beside base.py, and of the same kind: small protocols, facts or `Unknown`, our own keys. Amounts are minor
units; a line's `net` is what the merchant's balance at the gateway grew by, so `net == gross - fee`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from app.connectors.base import Approved, ConnectorContext, Declined, NotExecuted, NotFound, Pending, Unknown


class LineType(StrEnum):
    """What a line of a statement is about; `charge` and `refund` lines belong to one of our transactions."""

    CHARGE = "charge"
    REFUND = "refund"
    DISPUTE = "dispute"
    FEE = "fee"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class SettlementLine:
    """One line. `line_id` is the gateway's own, the same at every reading, so that reading again is safe.

    `reference` names the payment, refund, dispute or payout as the gateway's answer to us did
    (`Approved.reference`). `gross` is positive for charges, negative for what goes back or out.
    """

    line_id: str
    type: LineType
    reference: str | None
    gross: int
    fee: int
    net: int
    currency: str
    settled_at: datetime
    available_on: datetime


@dataclass(frozen=True, slots=True)
class SettlementBatch:
    """The head of a statement that will not change any more: all of its lines are in one currency.

    `net` is the gateway's control total over the lines, where it gives one.
    """

    reference: str
    currency: str
    settled_at: datetime
    available_on: datetime
    net: int | None = None


@dataclass(frozen=True, slots=True)
class SettlementBatches:
    """Statements, oldest first. Whatever moved before `complete_until` is in these or in earlier ones."""

    batches: tuple[SettlementBatch, ...]
    complete_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SettlementPage:
    """Some lines of a statement; `next_cursor` is None on the last page."""

    lines: tuple[SettlementLine, ...]
    next_cursor: str | None = None


@runtime_checkable
class Settles(Protocol):
    """Gives settlement statements. Reading changes nothing for the caller and may be repeated."""

    def settlement_batches(
        self, context: ConnectorContext, since: datetime | None
    ) -> SettlementBatches | Unknown:
        """The closed statements with `settled_at` at or after `since`; without it all there are."""
        ...

    def settlement_lines(
        self, context: ConnectorContext, batch: str, cursor: str | None
    ) -> SettlementPage | Unknown:
        """A page of the lines of the statement with that reference."""
        ...


@dataclass(frozen=True, slots=True)
class PayoutRequest:
    """Money from the balance at the gateway to a bank account; `key` is ours (`payout_{payout_id}`)."""

    key: str
    amount: int
    currency: str
    destination: str


PayoutResult = Approved | Declined | Pending | NotExecuted | Unknown
PayoutLookupResult = Approved | Declined | Pending | NotFound | Unknown


@runtime_checkable
class PaysOut(Protocol):
    """Sends settled money to a bank account."""

    def pay_out(self, context: ConnectorContext, request: PayoutRequest) -> PayoutResult:
        """Send; `Approved` has arrived, `Pending` is on its way. The same key never pays twice."""
        ...

    def find_payout(self, context: ConnectorContext, key: str) -> PayoutLookupResult:
        """What became of the payout asked for under `key`; one that a bank returned is `Declined`."""
        ...
