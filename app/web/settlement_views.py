"""How a settlement looks in JSON (contract/payments.md 3.7)."""

from __future__ import annotations

from typing import Any

from app.models.treasury.settlement import Settlement, SettlementLine
from app.web.schemas import Instant, View


class SettlementView(View):
    """A batch as its gateway settled it; sums in minor units, payouts left out of them."""

    id: str
    settlement_id: str
    status: str
    connector_id: str
    gateway_reference: str
    currency: str
    gross: int
    fee: int
    net: int
    transaction_count: int
    settled_at: Instant
    available_on: Instant
    posted_at: Instant | None
    reconciled_at: Instant | None
    created_at: Instant

    @classmethod
    def of(cls, row: Settlement) -> SettlementView:
        """The view of a row."""
        return cls.model_construct(**_fields(row))


class SettledTransaction(View):
    """A line of a batch; `transaction_id` is our charge, refund or payout, null where none is known."""

    id: str
    type: str
    transaction_id: str | None
    gateway_reference: str | None
    gross: int
    fee: int
    net: int
    currency: str
    settled_at: Instant
    available_on: Instant

    @classmethod
    def of(cls, row: SettlementLine) -> SettledTransaction:
        """The view of a row."""
        return cls.model_construct(
            id=row.id,
            type=row.type,
            transaction_id=row.transaction_id,
            gateway_reference=row.reference,
            gross=row.gross,
            fee=row.fee,
            net=row.net,
            currency=row.currency,
            settled_at=row.settled_at,
            available_on=row.available_on,
        )


class SettlementDetail(SettlementView):
    """A batch with a page of its transactions."""

    transactions: list[SettledTransaction]
    has_more: bool
    next_cursor: str | None

    @classmethod
    def with_lines(
        cls, row: Settlement, lines: list[SettlementLine], next_cursor: str | None
    ) -> SettlementDetail:
        """The view of a row and some of its lines."""
        return cls.model_construct(
            **_fields(row),
            transactions=[SettledTransaction.of(line) for line in lines],
            has_more=next_cursor is not None,
            next_cursor=next_cursor,
        )


def _fields(row: Settlement) -> dict[str, Any]:
    return {
        "id": row.id,
        "settlement_id": row.id,
        "status": row.status,
        "connector_id": row.connector_id,
        "gateway_reference": row.reference,
        "currency": row.currency,
        "gross": row.gross,
        "fee": row.fee,
        "net": row.net,
        "transaction_count": row.line_count,
        "settled_at": row.settled_at,
        "available_on": row.available_on,
        "posted_at": row.posted_at,
        "reconciled_at": row.reconciled_at,
        "created_at": row.created_at,
    }
