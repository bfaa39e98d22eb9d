"""PY-048, PY-049: payouts."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.domain.money import MAX_AMOUNT
from app.models.treasury.payout import Payout
from app.services.treasury import payouts
from app.web.schemas import Body, Instant, Integer, View


class PayoutCreate(Body):
    """What goes where; `amount` in minor units, `destination` is the gateway's name of a bank account."""

    merchant_account_id: str | None = Field(None, min_length=1, max_length=64)
    amount: Integer = Field(ge=1, le=MAX_AMOUNT)
    currency: str = Field(pattern="^[A-Z]{3}$")
    destination: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.:-]*$", max_length=128)
    connector_id: str | None = Field(None, min_length=1, max_length=64)
    metadata: dict[str, Any] = Field(default_factory=dict)


class PayoutView(View):
    """A payout."""

    id: str
    payout_id: str
    status: str
    merchant_account_id: str | None
    amount: int
    currency: str
    destination: str
    connector_id: str
    gateway_reference: str | None
    failure_reason: str | None
    metadata: dict[str, Any]
    created_at: Instant
    paid_at: Instant | None

    @classmethod
    def of(cls, row: Payout) -> PayoutView:
        """The view of a row."""
        return cls.model_construct(
            id=row.id,
            payout_id=row.id,
            status=row.status,
            merchant_account_id=row.merchant_account_id,
            amount=row.amount,
            currency=row.currency,
            destination=row.destination,
            connector_id=row.connector_id,
            gateway_reference=row.gateway_reference,
            failure_reason=row.failure_reason,
            metadata=row.metadata_,
            created_at=row.created_at,
            paid_at=row.paid_at,
        )


@surface.post(
    "/payouts",
    "PY-048",
    body=PayoutCreate,
    card_fields=("destination",),
    returns=PayoutView,
    status=201,
    permission="payouts:write",
)
def create(actor: Actor, body: PayoutCreate) -> PayoutView:
    """Start a payout of settled money to a bank account."""
    return PayoutView.of(
        payouts.create(
            actor,
            body.amount,
            body.currency,
            body.destination,
            merchant_account_id=body.merchant_account_id,
            connector_id=body.connector_id,
            metadata=body.metadata,
        )
    )


@surface.get("/payouts/{payout_id}", "PY-049", returns=PayoutView, permission="payouts:read")
def get(actor: Actor, payout_id: str) -> PayoutView:
    """Read a payout."""
    return PayoutView.of(payouts.get(actor, payout_id))
