"""How a refund looks in JSON, on whichever surface (contract/payments.md 2.4)."""

from __future__ import annotations

from typing import Any

from app.models.payments.refund import Refund
from app.web.schemas import Instant, View


class RefundView(View):
    """A refund."""

    id: str
    refund_id: str
    status: str
    amount: int
    currency: str
    payment_intent_id: str
    charge_id: str
    gateway_reference: str | None
    reason: str
    reason_text: str | None
    refund_method: str
    failure_reason: str | None
    actions: list[Any]
    credit_note_id: str | None
    group_id: str | None
    metadata: dict[str, Any]
    created_at: Instant

    @classmethod
    def of(cls, row: Refund) -> RefundView:
        """The view of a row."""
        return cls.model_construct(
            id=row.id,
            refund_id=row.id,
            status=row.status,
            amount=row.amount,
            currency=row.currency,
            payment_intent_id=row.intent_id,
            charge_id=row.attempt_id,
            gateway_reference=row.gateway_reference,
            reason=row.reason,
            reason_text=row.reason_text,
            refund_method=row.refund_method,
            failure_reason=row.failure_reason,
            actions=row.actions,
            credit_note_id=row.credit_note_id,
            group_id=row.group_id,
            metadata=row.metadata_,
            created_at=row.created_at,
        )
