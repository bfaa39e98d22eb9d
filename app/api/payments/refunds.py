"""PY-023 to PY-027: refunds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.api.payments.surface import surface
from app.domain.actor import Actor
from app.services.payments import bulk, intents, refunds
from app.web.job_views import JobAccepted
from app.web.refund_views import RefundView
from app.web.schemas import Body, Integer, Listing, NumberedQuery, pages_of


class RefundCreate(Body):
    """What goes back; without an amount all that is left."""

    payment_intent_id: str = Field(min_length=1, max_length=64)
    charge_id: str | None = Field(None, max_length=64)
    amount: Integer | None = Field(None, gt=0)
    reason: Literal["customer_request", "product_return", "fraud", "other"] = "other"
    refund_method: Literal["original_payment_method", "store_credit"] = "original_payment_method"
    metadata: dict[str, Any] = Field(default_factory=dict)

    def order(self) -> dict[str, Any]:
        """The arguments of the service."""
        return {
            "intent_id": self.payment_intent_id,
            "amount": self.amount,
            "reason": self.reason,
            "charge_id": self.charge_id,
            "refund_method": self.refund_method,
            "metadata": self.metadata,
        }


@surface.post(
    "/refunds",
    "PY-023",
    body=RefundCreate,
    returns=RefundView,
    status=201,
    permission="refunds:create",
    key_required=True,
)
def create(actor: Actor, body: RefundCreate) -> RefundView:
    """Refund a captured payment, in full or in part."""
    return RefundView.of(refunds.create(actor, **body.order()))


class RefundsCreate(Body):
    """Many refunds at once."""

    refunds: list[RefundCreate] = Field(min_length=1, max_length=1000)


@surface.post(
    "/refunds/bulk",
    "PY-027",
    body=RefundsCreate,
    returns=JobAccepted,
    status=202,
    permission="refunds:create",
    key_required=True,
)
def create_many(actor: Actor, body: RefundsCreate) -> JobAccepted:
    """Refund many payments as a job; what cannot be is told item by item."""
    return JobAccepted.of(bulk.enqueue_refunds(actor, [item.order() for item in body.refunds]))


@surface.get("/refunds/{refund_id}", "PY-024", returns=RefundView, permission="refunds:read")
def get(actor: Actor, refund_id: str) -> RefundView:
    """Read a refund."""
    return RefundView.of(refunds.get(actor, refund_id))


@surface.post("/refunds/{refund_id}/cancel", "PY-025", returns=RefundView, permission="refunds:create")
def cancel(actor: Actor, refund_id: str) -> RefundView:
    """Cancel a refund that has not been sent."""
    return RefundView.of(refunds.cancel(actor, refund_id))


@surface.get(
    "/intents/{intent_id}/refunds",
    "PY-026",
    query=NumberedQuery,
    returns=pages_of(RefundView),
    permission="refunds:read",
)
def of_intent(actor: Actor, intent_id: str, query: NumberedQuery) -> Listing[RefundView]:
    """List the refunds of an intent, newest first."""
    intents.get(actor, intent_id)
    page = refunds.list_page(actor, intent_id=intent_id, **query.place())
    return Listing[RefundView].of(page, RefundView.of)
